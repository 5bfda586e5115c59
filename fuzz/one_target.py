"""One target under the fuzzer, in a process of its own: libFuzzer ends the one that it runs in.

python -m fuzz.one_target unpack [LIBFUZZER OPTION ...] [CORPUS ...]
"""

from __future__ import annotations

import logging
import sys

import atheris

# Branches of the project, not those of libraries.
with atheris.instrument_imports(include=["broadcasting", "listening", "message", "wire"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer is content."""
    name, *options = sys.argv[1:]
    # Lines of the log would only cost time.
    logging.disable(logging.INFO)
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
