"""States of an instance and views of a primary, from plain data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from replica_cli.checkpoint.beats import Beat
from replica_cli.checkpoint.positions import SavedPosition
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.selection import Selection
from replica_cli.core.status import Phase
from replica_cli.health.primary import PrimaryView
from replica_cli.health.secondary import InstanceState
from replica_cli.mysql.binlog.log_state import BinlogFile
from replica_cli.mysql.facts import ServerFacts

HOUR, DAY = 3600, 86400
NOW = 1_700_000_000.0
ITEMS, SALES = TableName("shop", "items"), TableName("shop", "sales")
SELECTION = Selection((("shop", "shop"),))
FILES = (BinlogFile("bin.000001", 1000), BinlogFile("bin.000002", 2000), BinlogFile("bin.000003", 500))
END = Position("bin.000003", 500)
SAVED = SavedPosition(
    Position("bin.000001", 400), "server-id:1", int(NOW) - 60, 10, 5, 0, SELECTION.fingerprint, str(SELECTION), 1, ""
)


def facts(**variables: str) -> ServerFacts:
    return ServerFacts(True, (10, 11, 6), "10.11.6-MariaDB", 1, "server-id:1", variables)


def primary(**variables: str) -> PrimaryView:
    return PrimaryView(facts(**variables), NOW, END, FILES)


def beat(phase: Phase = Phase.STREAMING, age: float = 1.0, *, moved: float | None = 1.0, **snapshot: Any) -> Beat:
    return Beat("host:7", 1, "", "", str(phase), False, snapshot, age, moved)


def state(phase: Phase = Phase.STREAMING, age: float = 1.0, **snapshot: Any) -> InstanceState:
    return InstanceState(saved=SAVED, saved_age_seconds=90.0, beat=beat(phase, age, **snapshot))


def saved_at(position: Position, **changes: Any) -> InstanceState:
    return InstanceState(saved=replace(SAVED, position=position, **changes), saved_age_seconds=90.0)
