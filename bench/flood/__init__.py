"""Effect of a flood of datagrams on a thousand listeners. See `python -m bench.flood --help`.

attacks.py      kinds of hostile datagrams
attacker.py     their sender: from many addresses, at a pace
course.py       before, during and after each
show.py         the floods as a table
"""
