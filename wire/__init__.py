"""Knowledge that both wings need: MPEG audio frames, addresses, sequence arithmetic.

Nothing here knows a socket, a thread or a clock.
"""
