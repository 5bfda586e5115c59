"""Fuzzing: whatever comes, whenever it comes, nothing raises, grows, or changes what others hear.

    python -m fuzz                      each target for 20 s, from the kept corpus
    python -m fuzz --runs 1000000 server

`targets` says what is called with the bytes that the fuzzer makes up; `unpack`, `server_core` and
`client_core` hold what is promised of each part. The targets themselves need no fuzzer: the tests
run the kept corpus through them. `make_corpus` made it, of a real broadcast.
"""
