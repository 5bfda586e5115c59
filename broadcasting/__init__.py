"""What the server is made of, in the order in which data passes through it.

Nothing here knows a socket, a thread or a clock.
"""

import logging

# A program that writes no log shows none of its lines anywhere else.
logging.getLogger("server").addHandler(logging.NullHandler())
