"""The protocol beyond single messages: what both programs need of it.

Nothing here knows a socket, a thread or a clock.
"""
