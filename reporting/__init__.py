"""`--report` and `--csv` of both programs: figures over time as a page, a picture, and rows.

Imported only if one of the options is given. `record` does the I/O; all else is pure.
"""
