"""Set this machine up where there is no make, such as on Windows: an environment in .venv.

    python tools/setup.py [EXTRA ...]

EXTRA is one of pyproject.toml's, such as `device` (sound devices by name) or `dev` (for the tests).
.venv belongs to the Python that runs this. pip leaves alone what is installed already.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.requirements import ROOT, requirements

ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

SUPPORTED = (3, 11), (3, 15)


def main(extras: Sequence[str]) -> int:
    """Make the environment, and install what it needs; the exit status."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        print(f"setup: Python {sys.version.split()[0]}: use one of 3.11 to 3.15", file=sys.stderr)
        return 1
    try:
        needed = list(requirements(extras))
    except KeyError as error:
        print(f"setup: no extra {error} in pyproject.toml", file=sys.stderr)
        return 2
    if not PYTHON.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    install = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    status = subprocess.run([PYTHON, *install, *needed], check=False).returncode
    if not status:
        print(PYTHON.relative_to(ROOT))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
