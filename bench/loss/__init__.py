"""Music heard over a network that loses. See `python -m bench.loss --help`.

case.py         one row: its conditions, and its results
sweep.py        the rows, and what they must reach
virtual.py      both cores, the simulated link and the decoder, in virtual time
programs.py     the real programs in real time, with --simulate
kernel.py       the real programs in two network namespaces whose kernel drops
show.py         the rows as a table
picture.py      the rows as a picture
"""
