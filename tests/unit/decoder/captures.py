"""What `capture.py` recorded, as the decoder's own values."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replica_cli.core.events import TableMap
from replica_cli.core.table import Column, TableName

FOLDER = Path(__file__).parent / "captured"
Snapshot = dict[str, list[str | None]]


@dataclass(frozen=True)
class Event:
    """One row event; `before` and `after` are the table's rows by id, in the server's words."""

    kind: str
    present: bytes
    present_after: bytes
    rows: bytes
    before: Snapshot
    after: Snapshot


@dataclass(frozen=True)
class Capture:
    """One table of one server."""

    server: str
    name: str
    table: TableMap
    columns: tuple[Column, ...]
    events: tuple[Event, ...]

    def __str__(self) -> str:
        return f"{self.server}-{self.name}"


def read_captures() -> list[Capture]:
    """Return every table of every server."""
    return [
        _capture(path.stem, facts) for path in sorted(FOLDER.glob("*.json")) for facts in json.loads(path.read_text())
    ]


def _capture(server: str, facts: dict[str, Any]) -> Capture:
    logged = facts["map"]
    members = logged.get("enum_members")
    table = TableMap(
        table_id=1,
        name=TableName("hard", facts["name"]),
        body=b"",
        types=bytes.fromhex(logged["types"]),
        metadata=tuple(logged["metadata"]),
        nullable=tuple(logged["nullable"]),
        unsigned=tuple(logged["unsigned"]) if "unsigned" in logged else None,
        column_names=tuple(logged["column_names"]) if "column_names" in logged else None,
        collation_ids=tuple(logged["collation_ids"]) if "collation_ids" in logged else None,
        enum_members=tuple(m and tuple(map(bytes.fromhex, m)) for m in members) if members else None,
    )
    columns = tuple(Column(**column) for column in facts["columns"])
    events = tuple(
        Event(
            event["kind"],
            bytes.fromhex(event["present"]),
            bytes.fromhex(event["present_after"]),
            _rows(event["rows"]),
            event["before"],
            event["after"],
        )
        for event in facts["events"]
    )
    return Capture(server, facts["name"], table, columns, events)


def _rows(text: str) -> bytes:
    packed = text.removeprefix("zlib:")
    return bytes.fromhex(text) if packed == text else zlib.decompress(base64.b64decode(packed))
