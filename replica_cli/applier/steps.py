"""Pieces of work that an engine makes of row events, and that the writer carries out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from replica_cli.sqlbuilder.rows import row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from replica_cli.core.events import RowEvent, RowKind
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Row
    from replica_cli.sqlbuilder.rows import Literals

STATEMENT_ROWS = 1000
# More keys than the servers' range optimizers have memory for make them read the whole table.
DELETE_ROWS = 200


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of one table and kind; `table` is the primary's name. Fewer than none: so many others stand for them."""

    kind: RowKind
    table: TableName
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class ApplyStep:
    """One statement, and what must come of it.

    `kind` and `table` (the primary's name) are those of its first rows; `parts` is what it adds to the counts.
    `expected` is the number of rows that it must find, None where the server itself is strict (row images) or where any
    number will do (inside the replay window). `checks_foreign_keys` is None where the statement decides itself.
    `is_lenient` runs it without strict mode: the only way to write an ENUM's error value. `ends_packet`: the server
    takes nothing behind it in one packet. `is_replayed`: it applies a row inside the replay window.
    `is_look`: it changes nothing, and finds rows that differ from the primary's. `follow`: it is a query, and what it
    finds decides what else is done; that work comes right behind it, with nothing to count of its own.
    """

    kind: RowKind
    table: TableName
    target: TableName
    key: tuple[str, ...]
    statement: bytes
    parts: tuple[RowCount, ...]
    expected: int | None
    checks_foreign_keys: bool | None = True
    is_lenient: bool = False
    ends_packet: bool = False
    is_replayed: bool = False
    is_look: bool = False
    follow: Callable[[Sequence[Row]], Iterable[ApplyStep]] | None = None


class RowEngine(Protocol):
    """Turns row events into work, in source order."""

    def works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the work for consecutive row events of one or more transactions, built as it is asked for.

        Raises Drift, UnsupportedEvent or ApplyRefused where an event cannot be carried out as it was made.
        """

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return packets of statements that make the session ready; run once, before all else."""

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget what was learnt of tables (the primary's names; none: of all): their definitions changed."""


def cuts(sizes: Iterable[int], limit_bytes: int, limit_rows: int = sys.maxsize) -> Iterator[slice]:
    """Cut things of these sizes, bytes, into slices of limited size; one that is larger alone stands alone."""
    first = end = size = 0
    for end, length in enumerate(sizes, 1):
        before = end - 1
        if before > first and (size + length > limit_bytes or before - first >= limit_rows):
            yield slice(first, before)
            first, size = before, 0
        size += length
    if end > first:
        yield slice(first, end)


def portions(
    rows: Sequence[Literals], limit_bytes: int, limit_rows: int = STATEMENT_ROWS
) -> Iterator[Sequence[Literals]]:
    """Cut rows into lists that make statements of limited size."""
    # With a comma behind each literal, two parentheses and a comma behind the row.
    sizes = (sum(map(len, row)) + len(row) + 3 for row in rows)
    return (rows[part] for part in cuts(sizes, limit_bytes, limit_rows))


def value_lists(rows: Sequence[Literals], limit_bytes: int) -> Iterator[tuple[Sequence[Literals], bytes]]:
    """Cut rows as `portions` does, and yield each list with its text for VALUES."""
    texts = row_values(rows)
    for part in cuts([len(text) + 1 for text in texts], limit_bytes, STATEMENT_ROWS):
        yield rows[part], b",".join(texts[part])
