"""What a thousand listeners notice of a flood of datagrams. See `python -m bench.flood --help`.

attacks.py      what is sent: kinds of hostile datagrams
attacker.py     how: from many addresses, at a pace
course.py       before, during and after each
show.py         the floods as a table
"""
