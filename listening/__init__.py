"""What the client is made of, in the order in which data passes through it.

Nothing here knows a socket, a thread or a clock.
"""
