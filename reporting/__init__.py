"""What a report is made of: figures over time, charts, the page, the rows, the picture.

Both programs use it, and only if `--report` or `--csv` is given. No socket, no thread, no clock.
"""
