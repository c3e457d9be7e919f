"""Define what a comparison of rows finds: differences, and what is proven of each table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position


_HEXADECIMAL = re.compile(r"(?:_(?P<charset>\w+) )?x'(?P<digits>[0-9A-Fa-f]*)'")
_CODECS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "latin1": "cp1252"}


class DifferenceKind(StrEnum):
    """How a row differs, seen from the secondary."""

    MISSING = "missing"
    """The primary has the row, and the secondary does not."""
    EXTRA = "extra"
    """The secondary has the row, and the primary does not."""
    DIFFERS = "differs"
    """Both have the row, with different values."""


Literals = tuple[tuple[str, str], ...]
"""The values of a row as SQL: pairs of a column's name and a literal."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that differs.

    Attributes:
        table: the primary's name of the table.
        kind: how it differs.
        key: the columns of its key with their literals; empty for a table without a usable key.
        row_hash: the hash of the row, for a table without a usable key.
        columns: the names of the columns that differ. Empty unless the kind is DIFFERS, and if only the log tells that
            the row differs.
        position: the position of the secondary at which it was seen.
        count: the number of equal rows that differ, more than 1 only in a table without a key.
        primary_row: the row on the primary, if it was asked for.
        secondary_row: the row on the secondary, if it was asked for.
    """

    table: TableName
    kind: DifferenceKind
    key: Literals
    columns: tuple[str, ...]
    position: Position
    row_hash: str = ""
    count: int = 1
    primary_row: Literals | None = None
    secondary_row: Literals | None = None


def shown_key(difference: Difference) -> str:
    """Return the key of a row for people, such as `id=5, name='Zoë'`; the hash of a row without a key."""
    if not difference.key:
        return f"hash {difference.row_hash[:16]}"
    return ", ".join(f"{name}={shown_literal(literal)}" for name, literal in difference.key)


def shown_literal(literal: str) -> str:
    """Return an SQL literal for people: text that is written in hexadecimal digits is shown as text, if it is text."""
    match = _HEXADECIMAL.fullmatch(literal)
    if match is None:
        return literal
    try:
        text = bytes.fromhex(match["digits"]).decode(_CODECS.get(match["charset"] or "", "ascii"))
    except ValueError:
        return literal
    return f"'{text}'" if text.isprintable() else literal


@dataclass(frozen=True, slots=True)
class ProvenRange:
    """A part of a table that was compared: the rows after one key up to another one.

    Attributes:
        low: the literals of the key after which it begins, None for the first row.
        high: the literals of its last key, None for the end of the table.
        rows: the number of rows on the primary.
        position: the position of the secondary at which they were compared.
    """

    low: tuple[str, ...] | None
    high: tuple[str, ...] | None
    rows: int
    position: Position


@dataclass(frozen=True, slots=True)
class TableProof:
    """How far one table is compared in a run.

    Attributes:
        table: the primary's name of the table.
        rows: the number of rows that were compared.
        rows_estimated: the primary's estimate of all rows, None if it is not known.
        differences: the number of rows that differ.
        is_done: the whole table is decided.
    """

    table: TableName
    rows: int = 0
    rows_estimated: int | None = None
    differences: int = 0
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class VerifyProgress:
    """The progress of a run on one secondary.

    Attributes:
        tables: the tables that are being compared.
        tables_done: the number of tables that are decided.
        tables_total: the number of all tables.
        rows: the number of rows that were compared.
        rows_per_second: rows that were compared in the last seconds, per second.
        rows_left: the estimated number of rows that are not compared yet, None if it is not known.
        differences: the number of rows that differ.
        waits_for: why nothing is read at the moment; empty if rows are read.
    """

    instance: str
    tables: tuple[TableProof, ...] = ()
    tables_done: int = 0
    tables_total: int = 0
    rows: int = 0
    rows_per_second: float = 0.0
    rows_left: int | None = None
    differences: int = 0
    waits_for: str = ""

    @property
    def eta_seconds(self) -> float | None:
        """Return how long the rest takes at the present rate, None if that is not known."""
        if self.rows_left is None or self.rows_per_second <= 0:
            return None
        return self.rows_left / self.rows_per_second
