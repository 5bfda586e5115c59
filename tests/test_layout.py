"""What each folder may import: arrows between folders go one way, as the data does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

PRODUCT = (
    "broadcasting",
    "listening",
    "wire",
    "clock",
    "audio",
    "simulation",
    "reporting",
    "shell",
)
ENTRY_POINTS = ("server", "client", "broadcasting/assembly", "listening/assembly")
"""They join the parts, and may import anything."""

MAY_IMPORT = {
    "wire": "",  # with message.py
    "clock": "",
    "audio": "",
    "simulation": "wire",
    "shell": "wire",
    "reporting": "shell/terminal",
    # The server, in the order of the data.
    "broadcasting/settings": "wire",
    "broadcasting/statistics": "",
    "broadcasting/source": "audio shell/network shell/process",
    "broadcasting/stream": "source audio wire",
    "broadcasting/audience": "source stream wire",
    "broadcasting/sending": "stream wire",
    "broadcasting/broadcast": "source stream audience sending wire",
    "broadcasting/display": "source stream audience sending broadcast wire reporting shell",
    "broadcasting/arguments": "stream wire shell",
    # The client, in the order of the data.
    "listening/session": "clock wire",
    "listening/arrival": "clock audio wire",
    "listening/sound": "audio",
    "listening/outputs": "sound",
    "listening/listen": "session arrival clock audio wire",
    "listening/playback": "listen arrival sound outputs audio wire",
    "listening/simulated_network": "listen simulation wire",
    "listening/display": "session arrival sound outputs listen playback simulated_network"
    " simulation wire reporting shell",
    "listening/arguments": "arrival simulation wire shell",
    "listening/choosing": "wire shell",
    "listening/lookup": "arguments choosing wire shell",
}
"""A folder, or a module beside folders -> what it may import; a package's own parts by their last
name. Each package may use its `settings` and `statistics` everywhere."""


def test_each_folder_imports_only_what_it_may() -> None:
    wrong = {
        f"{importer} -> {imported}"
        for importer, imported in arrows()
        if not may(importer, imported)
    }
    assert not wrong


def arrows() -> Iterator[tuple[str, str]]:
    """Importer and imported of every import of the product, wherever in a file it stands."""
    files = [
        ROOT / "message.py",
        *(path for name in PRODUCT for path in (ROOT / name).rglob("*.py")),
    ]
    for path in files:
        importer = part(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path} imports relatively"
                names = [f"{node.module}.{name.name}" for name in node.names]
            else:
                continue
            for name in names:
                imported = part(tuple(name.split(".")))
                if is_ours(imported) and imported != importer:
                    yield importer, imported


def part(names: tuple[str, ...]) -> str:
    """The folder of the layout that a module is in, or the module beside folders."""
    if names[0] == "message":
        return "wire"
    return "/".join(names[:2]) if names[0] in ("broadcasting", "listening", "shell") else names[0]


def is_ours(name: str) -> bool:
    top = name.split("/")[0]
    return (ROOT / top).is_dir() or (ROOT / f"{top}.py").is_file()


def may(importer: str, imported: str) -> bool:
    if importer in ENTRY_POINTS:
        return True
    package = importer.partition("/")[0]
    allowed = MAY_IMPORT.get(package if package == "shell" else importer, "").split()
    within, _, name = imported.partition("/")
    if within == package:
        return package == "shell" or name in ("settings", "statistics", *allowed)
    return imported in allowed or within in allowed
