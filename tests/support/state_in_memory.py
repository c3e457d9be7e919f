"""A session that runs the statements of the state stores in SQLite, for tests without a server.

SQLite understands them except for a few words, which `_translated` replaces. It does not show types, charsets, locks or
isolation: tests/engine shows those.
"""

from __future__ import annotations

import re
import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from replica_cli.checkpoint import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

_REPLACED = (
    (re.compile(r" CHARACTER SET \w+ COLLATE \w+"), ""),
    (re.compile(r"_utf8mb4 x'([0-9a-f]*)'"), lambda match: _quoted(bytes.fromhex(match[1]).decode())),
    (re.compile(r"UTC_TIMESTAMP\(6\)"), "'2026-01-01 00:00:00.000000'"),
    (re.compile(r"\) IN \(\("), ") IN (VALUES ("),
)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _translated(sql: str | bytes) -> str:
    text = sql.decode() if isinstance(sql, bytes) else sql
    for pattern, replacement in _REPLACED:
        text = pattern.sub(replacement, text)
    return text


class StateInMemory:
    """The part of `Session` that the state stores use, on a state schema that is in memory."""

    def __init__(self, state_schema: str = "state") -> None:
        self.server = SimpleNamespace(name="db1")
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.execute(f"ATTACH ':memory:' AS {state_schema}")
        for name, columns in schema._TABLES.items():
            self.execute(f"CREATE TABLE `{state_schema}`.{name} ({columns})")

    def execute(self, sql: str | bytes) -> int:
        """Run a statement; return how many rows it matched."""
        return self.connection.execute(_translated(sql)).rowcount

    def execute_each(self, statements: Sequence[bytes]) -> None:
        """Run statements one after another. As on a server, a COMMIT without a transaction does nothing."""
        for statement in statements:
            if statement != b"COMMIT" or self.connection.in_transaction:
                self.execute(statement)

    def begin(self) -> None:
        """Begin a transaction."""
        self.connection.execute("BEGIN")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(_translated(sql)).fetchall()
