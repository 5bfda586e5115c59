"""Measurements of the two programs, as they are run by people. See `python -m bench --help`.

    table.py        rows, and how they are shown
    machine.py      on what they were taken
    processes.py    the programs, started and watched from outside
    workshop.py     what the measurements share: effort, folder, sound server
    programme.py    MP3 of any length
    listeners.py    many listeners in one process

One file more for each family of measurements; each has a `measure` that yields rows.
"""
