"""Definitions of the tables that come next are read together, each once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.engines import definitions as module
from replica_cli.applier.engines.definitions import Definitions
from replica_cli.core.errors import Drift
from replica_cli.core.events import RowEvent, RowHead, RowKind, TableMap
from replica_cli.core.selection import Selection
from replica_cli.core.table import TableDefinition, TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = [TableName("s", name) for name in "abcd"]
SESSION: Any = SimpleNamespace(server=SimpleNamespace(name="db2"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what a server is asked for, tables in one question next to each other; it lacks c and d."""
    found: list[str] = []

    def read_tables(_: object, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
        found.append("".join(name.table for name in names))
        return {name: TableDefinition(name, "InnoDB", "", ()) for name in names if name.table in "ab"}

    monkeypatch.setattr(module, "read_tables", read_tables)
    return found


def event(name: TableName) -> RowEvent:
    table = TableMap(1, name, b"", b"", (), ())
    return RowEvent(RowHead(RowKind.INSERT, table, 0, b"", b"", 0), b"")


def test_the_tables_that_come_are_read_with_the_first_one(asked: list[str]) -> None:
    definitions = Definitions(SESSION, Selection((("s", "s"),)), from_mariadb=True)
    with definitions.expecting([event(name) for name in NAMES]):
        for name in NAMES[:2]:
            assert definitions.get(name).name == name
        # Those that are missing are not asked for again with each other.
        for name in NAMES[2:]:
            with pytest.raises(Drift):
                definitions.get(name)
    assert asked == ["abcd", "c", "d"]


def test_nothing_is_read_of_tables_that_are_known_or_expected_no_more(asked: list[str]) -> None:
    definitions = Definitions(SESSION, Selection((("s", "s"),)), from_mariadb=True)
    definitions.get(NAMES[0])
    with definitions.expecting([event(name) for name in NAMES[:2]]):
        definitions.get(NAMES[0])
    definitions.get(NAMES[1])
    assert asked == ["a", "b"]
