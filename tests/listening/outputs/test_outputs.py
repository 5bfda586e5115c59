"""Outputs that are not heard: files, a pipe, and nothing."""

import contextlib
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydub import AudioSegment

from listening.outputs import Output, OutputEnded, OutputError, make_output
from listening.outputs.mp3_file import Mp3File, StandardOutput
from listening.outputs.null import Null
from listening.outputs.speaker import Speaker
from listening.outputs.wav_file import LARGEST_AUDIO_BYTES, WavFile, pack_header
from listening.sound.pcm import PcmFormat

ROOT = Path(__file__).parents[3]
STEREO = PcmFormat(44_100, 2)
PCM = bytes(range(200)) * 20


def audio(data: bytes, pcm: PcmFormat = STEREO) -> AudioSegment:
    return AudioSegment(
        data=data, sample_width=2, frame_rate=pcm.frame_rate_hz, channels=pcm.channels
    )


def read_wav(path: Path) -> tuple[int, int, int, bytes]:
    with wave.open(str(path)) as file:
        return (
            file.getnchannels(),
            file.getsampwidth(),
            file.getframerate(),
            file.readframes(10**9),
        )


# The choice.


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("speaker", Speaker),
        ("null", Null),
        ("song.wav", WavFile),
        ("a song.WAV", WavFile),
        ("./speaker.mp3", Mp3File),
    ],
)
def test_the_name_chooses_the_output(
    where: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert type(make_output(where)) is kind
    assert not list(tmp_path.iterdir())


def test_a_hyphen_chooses_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: False)

    assert type(make_output("-")) is StandardOutput


@pytest.mark.parametrize("where", ["", "song", "song.ogg", "Speaker ", "wav", ".mp3", "a.wav/b"])
def test_any_other_name_is_wrong_usage(where: str) -> None:
    with pytest.raises(
        ValueError, match=r"speaker, device:NAME, null, - or a name that ends in \.wav or"
    ):
        make_output(where)


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from listening.outputs import make_output\n"
        "for where in 'speaker', 'null', '-', 'x.wav', 'x.mp3': make_output(where)\n"
        "print([name for name in ('pydub', 'simpleaudio', 'av', 'wave') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert ended.stdout == "[]\n"


@pytest.mark.parametrize("name", ["null", "out.wav", "out.mp3"])
def test_every_output_can_be_closed_at_any_point(name: str, tmp_path: Path) -> None:
    where = name if name == "null" else str(tmp_path / name)
    make_output(where).close()
    output = make_output(where)
    output.prepare()
    output.close()
    output = make_output(where)
    output.prepare()
    assert output.open(STEREO, None) == STEREO
    for _ in range(2):
        if output.takes_frames:
            output.write_frames(b"frames")
        else:
            output.write(audio(PCM))
        output.resync()
        output.flush()
    output.cancel()
    output.close()
    output.close()
    assert output.underruns == 0
    assert output.lead_s == 0
    assert output.any_speed


# Paths.


@pytest.fixture(params=["out.wav", "out.mp3"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_folder_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no folder .*missing; make it first"):
        make_output(str(tmp_path / "missing" / name))


def test_a_folder_of_that_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(OutputError, match="it is a folder; name a file in it"):
        make_output(str(tmp_path / name))


@pytest.mark.parametrize("there", [True, False])
def test_no_permission(
    name: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    if there:
        path.write_bytes(b"precious")
    asked: list[Path] = []
    # root may write anywhere, so the system's answer is pretended
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append(path))

    with pytest.raises(OutputError, match="permission denied; choose another place"):
        make_output(str(path))
    assert asked == [path if there else tmp_path]


def test_a_file_is_only_replaced_when_there_is_a_stream(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"precious" * 100)
    output = make_output(str(path))
    output.prepare()
    assert path.read_bytes() == b"precious" * 100

    output.open(STEREO, None)
    output.close()
    assert b"precious" not in path.read_bytes()


def test_a_folder_that_goes_while_the_server_is_looked_for(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    output = make_output(str(folder / name))
    folder.rmdir()

    with pytest.raises(OutputError, match="no folder"):
        output.prepare()
    with pytest.raises(OutputError, match=r"cannot write .*: No such file"):
        output.open(STEREO, None)
    output.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("kind", [WavFile, Mp3File])
def test_a_full_disk(kind: type[WavFile | Mp3File]) -> None:
    output: Output = kind(Path("/dev/full"))

    def record() -> None:
        output.open(STEREO, None)
        output.write_frames(b"frames")

    with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device; "):
        record()
    output.close()


# WAV.


@pytest.mark.parametrize("pcm", [STEREO, PcmFormat(8000, 1), PcmFormat(12_000, 2)])
def test_a_wav_file_holds_what_was_written(pcm: PcmFormat, tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    output = WavFile(path)
    assert output.open(pcm, 10.0) == pcm
    for begin in range(0, len(PCM), 800):
        output.write(audio(PCM[begin : begin + 800], pcm))
        output.flush()
    output.close()

    assert read_wav(path) == (pcm.channels, 2, pcm.frame_rate_hz, PCM)
    assert path.stat().st_size == 44 + len(PCM)


def test_a_wav_file_is_whole_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    output = WavFile(path)
    output.open(STEREO, None)
    assert read_wav(path)[3] == b""

    output.write(audio(PCM))
    assert read_wav(path)[3] == b""
    output.flush()
    assert read_wav(path)[3] == PCM
    output.write(audio(PCM))
    output.flush()
    assert read_wav(path)[3] == 2 * PCM
    output.close()


def test_a_full_wav_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    output = WavFile(path, largest_audio_bytes=len(PCM) + 803)
    output.open(STEREO, None)
    output.write(audio(PCM))

    with pytest.raises(OutputError, match=r"out.wav is full: .* use --output FILE.mp3"):
        output.write(audio(PCM))
    assert read_wav(path)[3] == PCM + PCM[:800]
    output.close()
    assert read_wav(path)[3] == PCM + PCM[:800]


def test_the_header_of_the_largest_wav_file() -> None:
    header = pack_header(STEREO, LARGEST_AUDIO_BYTES)

    assert header[4:8] == b"\xff\xff\xff\xff"
    assert int.from_bytes(header[40:44], "little") == 2**32 - 1 - 36


# MP3.


def test_an_mp3_file_holds_the_frames_as_sent(tmp_path: Path) -> None:
    path = tmp_path / "out.mp3"
    output = Mp3File(path)
    assert output.takes_frames
    assert output.open(PcmFormat(12_000, 1), None) == PcmFormat(12_000, 1)
    output.write_frames(b"\xff\xfbone")
    assert path.read_bytes() == b"\xff\xfbone"
    output.write_frames(b"\xff\xfbtwo")
    output.close()

    assert path.read_bytes() == b"\xff\xfbone\xff\xfbtwo"


# Standard output.


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        with contextlib.suppress(OSError):  # a test has closed it
            os.close(end)


def test_frames_go_down_the_pipe_at_once(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = StandardOutput(writer)
    frames = os.urandom(10_000)
    output.write_frames(frames)

    assert os.read(reader, 20_000) == frames
    output.close()
    os.write(writer, b"still open")


def test_a_reader_that_has_ended_is_an_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = StandardOutput(writer)
    os.close(reader)

    with pytest.raises(OutputEnded):
        output.write_frames(b"frames")
    output.flush()
    output.close()


def test_a_reader_that_does_not_read_holds_up_until_cancel(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    output = StandardOutput(writer)
    thread = threading.Thread(target=output.write_frames, args=(bytes(10**6),))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()

    output.cancel()
    thread.join(5)
    assert not thread.is_alive()


def test_a_slow_reader_gets_everything(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    output = StandardOutput(writer)
    frames = os.urandom(10**6)
    thread = threading.Thread(target=output.write_frames, args=(frames,))
    thread.start()
    read = b""
    while len(read) < len(frames):
        read += os.read(reader, 10_000)
    thread.join(5)

    assert not thread.is_alive()
    assert read == frames


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_standard_output_on_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        output = StandardOutput(full.fileno())
        with pytest.raises(OutputError, match="cannot write to standard output: No space") as told:
            output.write_frames(b"frames")
    assert not isinstance(told.value, OutputEnded)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_no_mp3_for_a_terminal() -> None:
    ours, theirs = os.openpty()
    try:
        with pytest.raises(OutputError, match="send it to a program or a file"):
            StandardOutput(theirs)
    finally:
        os.close(ours)
        os.close(theirs)
