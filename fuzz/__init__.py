"""Fuzzing: no datagram, at any time, may raise, leak memory, or change what others hear.

    python -m fuzz                      each target for 20 s, from the kept corpus
    python -m fuzz --runs 1000000 server

`targets` names the functions that take the fuzzer's bytes; `unpack`, `server_core` and
`client_core` check the promises of each part. The targets themselves need no fuzzer: the tests run
the kept corpus through them. `make_corpus` makes it from a real broadcast.
"""
