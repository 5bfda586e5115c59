"""Measurements of the two programs, run as people run them. See `python -m bench --help`.

    table.py        rows of results, and their tables
    machine.py      the machine they were taken on
    processes.py    the programs, run and watched from outside
    workshop.py     shared by the measurements: effort, folder, sound server
    programme.py    MP3 of any length
    listeners.py    many listeners in one process

One more file for each family of measurements, with a `measure` that yields rows.
"""
