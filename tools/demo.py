"""The demonstration: server and client on this machine, with the bundled sample.

To the loudspeaker where there is one, else to demo.wav (four times as fast: nobody listens).
It is over in 20 seconds and leaves the statistics on the screen, and a report in demo.html.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from listening.outputs import OutputError, make_output  # noqa: E402 - found by the line above

SAMPLE = "samples/sample.mp3"
WAV = "demo.wav"
REPORT = "demo.html"

LISTEN_S = 14.0
"""Part of the sample's 30 s that is played: starting and playing it takes less than 20 s in all."""

FASTER = "4"


def has_speaker() -> bool:
    """Whether sound can be played here."""
    try:
        make_output("speaker").prepare()
    except OutputError:
        return False
    return True


def start_server(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start the server on a free port of this machine; the process and the port."""
    where = ["0", "--host", "127.0.0.1", "--no-announce", "--report-every", "0"]
    command = [sys.executable, "server.py", SAMPLE, *where, *options]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    first_line = server.stdout.readline()
    return server, first_line.rsplit(":", 1)[-1].strip()


def main() -> int:
    """Play, and say what to do next."""
    aloud = has_speaker()
    if aloud:
        print(f"Broadcasting {SAMPLE} to this machine's loudspeaker for {LISTEN_S:g} seconds.")
    else:
        print(f"No loudspeaker here: broadcasting {SAMPLE} to {WAV}, {FASTER} times as fast.")
    server, port = start_server(*([] if aloud else ["--speed", FASTER]))
    output = "speaker" if aloud else WAV
    client = subprocess.Popen(
        [sys.executable, "client.py", "127.0.0.1", port, "--output", output, "--report", REPORT],
        cwd=ROOT,
    )
    try:
        client.wait(LISTEN_S)
    except subprocess.TimeoutExpired:
        # The server ends its stream as it would on Ctrl-C; the client plays what it has.
        server.send_signal(signal.SIGINT)
        client.wait()
    told, _ = server.communicate()
    print(told, end="")
    if client.returncode == 0 and not aloud:
        print(f"Listen to {WAV} with any player.")
    if client.returncode == 0:
        print(f"How it went, over time: open {(ROOT / REPORT).as_uri()} in a browser.")
    return client.returncode or server.returncode


if __name__ == "__main__":
    sys.exit(main())
