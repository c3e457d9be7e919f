"""What `capture.py` recorded, and events made by hand."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.events import RowEvent, Statement
from replica_cli.core.position import Position
from replica_cli.reader.assembler import Assembler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.events import Transaction

FOLDER = Path(__file__).parent / "captured"
SERVERS = sorted(path.stem for path in FOLDER.glob("*.json"))
_SCENES = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def scenes(name: str) -> list[str]:
    """Return the servers that have a scene."""
    return [server for server in SERVERS if name in _SCENES[server]]


def files(server: str, scene: str) -> dict[str, list[bytes]]:
    """Return a scene's binary log files and their events."""
    return {name: [base64.b64decode(e) for e in events] for name, events in _SCENES[server][scene].items()}


def events(server: str, scene: str) -> list[bytes]:
    """Return the events as a dump sends them: a fake rotation before each file."""
    return [e for name, found in files(server, scene).items() for e in (fake_rotate(name), *found)]


def assembler(
    start: Position, *, piece_bytes: int = 1 << 22, schema: str = "shop", is_mariadb: bool = False
) -> Assembler:
    """Return an assembler that wants one schema."""
    # No scene has a GEOMETRY, which, like the form of GTID sets, shows the flavour here.
    return Assembler(start, lambda name: name.schema == schema, is_mariadb=is_mariadb, piece_bytes=piece_bytes)


def start_of(server: str, scene: str) -> Position:
    return Position(next(iter(files(server, scene))), 4)


def read(server: str, scene: str, *, piece_bytes: int = 1 << 22) -> list[Transaction]:
    """Return everything that a scene's events make."""
    return feed(assembler(start_of(server, scene), piece_bytes=piece_bytes), events(server, scene))


def feed(target: Assembler, many: Iterable[bytes]) -> list[Transaction]:
    ready: list[Transaction] = []
    target.feed_all(many, ready)
    return ready


def shown(transactions: Iterable[Transaction]) -> list[list[str]]:
    """Return what each transaction with changes does."""
    return [[_word(c) for c in t.changes] for t in transactions if t.changes]


def _word(change: RowEvent | Statement) -> str:
    if isinstance(change, RowEvent):
        return f"{change.kind.name} {change.table.name.table}"
    return change.text.decode()


def event(
    code: int, body: bytes = b"", *, pos: int = 0, flags: int = 0, timestamp: int = 1, checksum: bool = True
) -> bytes:
    """Make an event with a right length and a right checksum."""
    size = 19 + len(body) + 4 * checksum
    made = struct.pack("<IBIIIH", timestamp, code, 1, size, pos, flags) + body
    return made + zlib.crc32(made).to_bytes(4, "little") if checksum else made


def fake_rotate(name: str, pos: int = 4, *, checksum: bool = True) -> bytes:
    return event(4, struct.pack("<Q", pos) + name.encode(), flags=0x20, timestamp=0, checksum=checksum)


def format_event(server: str = SERVERS[0], scene: str = "life") -> bytes:
    """Return a real format description event."""
    return next(iter(files(server, scene).values()))[0]


def resized(raw: bytes, size: int) -> bytes:
    """Cut an event's body and mend its length and checksum: only what it holds is wrong."""
    made = raw[:9] + size.to_bytes(4, "little") + raw[13 : size - 4]
    return made + zlib.crc32(made).to_bytes(4, "little")
