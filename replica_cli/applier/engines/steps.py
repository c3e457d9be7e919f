"""The steps that an engine makes from row events, and that the writer carries out; the interface of engines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from replica_cli.sqlbuilder.rows.row_statements import row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from replica_cli.core.events import RowEvent, RowKind
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Row
    from replica_cli.sqlbuilder.rows.row_statements import Literals

STATEMENT_ROWS = 1000
# With more keys the range optimizers of the servers run out of memory, and the servers read the whole table.
DELETE_ROWS = 200


@dataclass(frozen=True, slots=True)
class RowCount:
    """A number of rows of one kind and table, for the counts; `table` is the primary's name.

    `rows` may be negative: compaction subtracts the rows that it writes, as it adds those that the primary wrote.
    """

    kind: RowKind
    table: TableName
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class ApplyStep:
    """One statement, and what its result must be.

    Attributes:
        kind: the kind of its first rows.
        table: the table of its first rows, by the primary's name.
        target: the same table, by the secondary's name.
        key: the key columns by which it finds its rows, for messages; empty if there are none.
        statement: the statement's text.
        counts: what it adds to the counts of rows.
        expected: the number of rows that it must find. None if the server itself is strict (row images), or if any
            number is right (inside a replay window).
        checks_foreign_keys: whether foreign keys are checked; None if the statement itself decides that.
        is_lenient: True to run it without strict mode, which is the only way to write the error value of an ENUM.
        ends_packet: True if the server reads no other statement after it in one packet.
        is_replayed: True if it applies rows inside a replay window.
        is_comparison: True if it changes nothing and finds rows that differ from the primary's.
        follow: for a query: returns the steps to carry out right after it, by the rows that it returns. They add
            nothing to the counts.

    """

    kind: RowKind
    table: TableName
    target: TableName
    key: tuple[str, ...]
    statement: bytes
    counts: tuple[RowCount, ...]
    expected: int | None
    checks_foreign_keys: bool | None = True
    is_lenient: bool = False
    ends_packet: bool = False
    is_replayed: bool = False
    is_comparison: bool = False
    follow: Callable[[Sequence[Row]], Iterable[ApplyStep]] | None = None


class RowEngine(Protocol):
    """Turns row events into steps, in source order."""

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the steps for consecutive row events of one or more transactions; each is built when it is needed.

        Raises:
            Drift: if the secondary's table does not fit an event.
            UnsupportedEvent: if an event cannot be decoded.
            ApplyRefused: if an event cannot be applied as it was made on the primary.

        """

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return packets of statements that make the session ready; they run once, before all other statements."""

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget what is cached of tables, or of all if none is named: their definitions changed.

        `tables` are the primary's names.
        """


def cuts(sizes: Iterable[int], limit_bytes: int, limit_rows: int = sys.maxsize) -> Iterator[slice]:
    """Yield slices that cut a list into parts of limited size; an item larger than the limit gets its own slice.

    Args:
        sizes: the size of each item of the list, in bytes.
        limit_bytes: how many bytes a slice may have.
        limit_rows: how many items a slice may have.

    """
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
    """Return the rows in portions: lists of consecutive rows, each of which fits one statement; limits as in `cuts`."""
    # With a comma after each literal, two parentheses, and a comma after the row.
    sizes = (sum(map(len, row)) + len(row) + 3 for row in rows)
    return (rows[part] for part in cuts(sizes, limit_bytes, limit_rows))


def value_lists(rows: Sequence[Literals], limit_bytes: int) -> Iterator[tuple[Sequence[Literals], bytes]]:
    """Yield the rows in lists as `portions` does, each with its text for VALUES."""
    texts = row_values(rows)
    for part in cuts([len(text) + 1 for text in texts], limit_bytes, STATEMENT_ROWS):
        yield rows[part], b",".join(texts[part])
