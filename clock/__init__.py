"""Whose time it is: the clock of another machine, estimated from exchanges over a network.

    exchange    when to ask, and which answer belongs to which question
    filter      four times of each exchange -> offset, drift, and how far they may be trusted
    estimate    what comes out

Sans-I/O, as everything that decides: `now` is an argument, in seconds of this machine's clock.
"""
