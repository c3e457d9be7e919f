"""Find the rows of a batch in tables without any index together: one search of a table instead of one for each row.

For each distinct row of such a table two numbers are counted: how many the table must have before the batch, and how
many more or fewer it has after it. The server counts the rows that it must have by a digest of all their values. Then
they are deleted, and the new rows are inserted. Several equal rows cannot be told apart, so any of them may be deleted.
If a row is missing, the diagnostic engine applies each event by itself and finds out which one.

Batches with few changes of such a table, and tables with keys, triggers or generated columns, go to the engine of all
other tables.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

from replica_cli.applier.engines.compaction import is_whole
from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import RowPlan, columns_for, enum_indexes, holds_enum_zero
from replica_cli.applier.engines.sql_engine import decoded
from replica_cli.applier.engines.steps import ApplyStep, RowCount, cuts, value_lists
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.applier.failures import missing_rows
from replica_cli.core.errors import ApplyRefused, Drift
from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import Form, Output, compile_pairs
from replica_cli.sqlbuilder.rows.row_digests import DIGEST_BYTES, count_digests, delete_alike, delete_digests, digest_of
from replica_cli.sqlbuilder.rows.row_statements import insert_head

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.applier.engines.steps import RowEngine
    from replica_cli.core.events import RowEvent, RowHead
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Row
    from replica_cli.sqlbuilder.rows.row_digests import RowDigest
    from replica_cli.sqlbuilder.rows.row_statements import Literals

# Fewer rows are found faster one by one, because such a search ends where the row is.
LEAST_ROWS = 32
# Equal rows are deleted together, and those that are too many are inserted again. This limits the bytes that are
# inserted again.
_AGAIN_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """How events with one head are read.

    `plan` decodes the literals of the row after a change, then of the row before it.
    """

    plan: RowPlan
    target: TableName
    digest: RowDigest


@dataclass(slots=True, eq=False)
class _Alike:
    """Equal rows of a table.

    The table must have at least `needed` of them before the batch, and has `more` additional ones after it (or fewer,
    if negative).
    """

    row: Literals
    needed: int = 0
    more: int = 0


@dataclass(slots=True, eq=False)
class _Rows:
    """The rows of one table in the events of a batch, by their digests, and how many of each kind there are."""

    shape: _Shape
    alike: dict[bytes, _Alike] = field(default_factory=dict)
    counts: Counter[RowKind] = field(default_factory=Counter)

    def take(self, event: RowEvent, rows: Sequence[Literals]) -> None:
        """Add the rows of an event."""
        self.counts[event.kind] += len(rows)
        width = len(self.shape.plan.written)
        for row in rows:
            if event.kind is not RowKind.INSERT:
                gone = self._alike(row[-width:])
                gone.more -= 1
                gone.needed = max(gone.needed, -gone.more)
            if event.kind is not RowKind.DELETE:
                self._alike(row[:width]).more += 1

    def _alike(self, row: Literals) -> _Alike:
        digest = self.shape.digest.of(row)
        alike_rows = self.alike.get(digest)
        if alike_rows is None:
            alike_rows = self.alike[digest] = _Alike(row)
        return alike_rows


class KeylessEngine:
    """Applies the rows of tables without an index, and gives the events of all other tables to `engine`.

    The order of rows of different tables does not matter: these tables have no foreign keys or triggers.
    """

    def __init__(
        self,
        engine: RowEngine,
        definitions: Definitions,
        selection: Selection,
        *,
        statement_bytes: int,
        is_mariadb: bool,
    ) -> None:
        self._engine = engine
        self._definitions = definitions
        self._selection = selection
        self._statement_bytes = statement_bytes
        self._is_mariadb = is_mariadb
        self._shapes: TableCache[RowHead, _Shape | None] = TableCache(trims_itself=False)

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return the statements that prepare the session for `engine`."""
        return self._engine.preparation()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget some tables, or all if none is given, because their definitions changed."""
        self._shapes.forget(tables)
        self._engine.forget(tables)

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the steps of consecutive row events. Those of tables without an index come last."""
        tables = self._tables(events)
        if tables:
            others = [event for event in events if event.table.name not in tables]
            yield from self._engine.steps(others) if others else ()
            for name, rows in tables.items():
                yield from self._table_steps(name, rows)
        else:
            yield from self._engine.steps(events)

    def _tables(self, events: Sequence[RowEvent]) -> Mapping[TableName, _Rows]:
        """Return the tables without an index that have enough rows to find, with all of their rows."""
        all_shapes = self._shapes_of({event.head: event for event in events})
        # If one event of a table cannot be applied here, none is: all rows of a table go to the same engine.
        excluded = {head.table.name for head, shape in all_shapes.items() if shape is None}
        shapes = {
            head: shape for head, shape in all_shapes.items() if shape is not None and head.table.name not in excluded
        }
        tables: dict[TableName, _Rows] = {}
        for name in sorted({head.table.name for head in shapes if head.kind is not RowKind.INSERT}):
            own = [event for event in events if event.table.name == name]
            first = shapes[own[0].head]
            if all(shapes[event.head].plan.written == first.plan.written for event in own) and _hold_enough(
                own, shapes
            ):
                tables[name] = _Rows(first)
                for event in own:
                    tables[name].take(event, decoded(event, shapes[event.head].plan))
        return tables

    def _table_steps(self, name: TableName, rows: _Rows) -> Iterator[ApplyStep]:
        row_counts = tuple(RowCount(kind, name, count) for kind, count in rows.counts.items())
        needed = [(digest, alike) for digest, alike in rows.alike.items() if alike.needed]
        kind = RowKind.UPDATE if rows.counts[RowKind.UPDATE] else RowKind.DELETE
        for part in cuts(repeat(DIGEST_BYTES, len(needed)), self._statement_bytes):
            yield self._count_and_delete(name, rows.shape, dict(needed[part]), kind, row_counts)
            row_counts = ()
        new_rows = [row for a in rows.alike.values() for row in repeat(a.row, a.more + a.needed)]
        yield from _inserts(name, rows.shape, new_rows, self._statement_bytes)

    def _count_and_delete(
        self,
        name: TableName,
        shape: _Shape,
        needed: Mapping[bytes, _Alike],
        kind: RowKind,
        row_counts: tuple[RowCount, ...],
    ) -> ApplyStep:
        """Return the step that counts the rows of a table, and then deletes those that are `needed`."""

        def follow(answer: Sequence[Row]) -> Iterator[ApplyStep]:
            counts: dict[bytes, int] = {digest: count for digest, count in answer}  # noqa: C416  # rows are tuples
            total = sum(alike.needed for alike in needed.values())
            present = sum(min(counts.get(digest, 0), alike.needed) for digest, alike in needed.items())
            if present < total:
                raise missing_rows(_step(kind, name, shape.target, b"", total), present)
            yield from self._deletes(name, shape, needed, counts)

        statement = count_digests(shape.target, shape.digest, needed)
        return ApplyStep(
            kind, name, shape.target, (), statement, row_counts, None, checks_foreign_keys=None, follow=follow
        )

    def _deletes(
        self, name: TableName, shape: _Shape, needed: Mapping[bytes, _Alike], counts: Mapping[bytes, int]
    ) -> Iterator[ApplyStep]:
        """Yield the steps that delete rows.

        Equal rows are deleted together, and those that are too many are inserted again.
        """
        together: list[bytes] = []
        reinserted: list[Literals] = []
        budget = _AGAIN_BYTES
        for digest in sorted(needed, key=lambda d: counts[d] - needed[d].needed):
            alike, spare = needed[digest], counts[digest] - needed[digest].needed
            budget -= spare * sum(map(len, alike.row))
            if budget >= 0:
                together.append(digest)
                reinserted += repeat(alike.row, spare)
            else:
                # There are many equal rows, so a search for some of them ends early.
                statement = delete_alike(shape.target, shape.digest, digest, alike.needed)
                yield _step(RowKind.DELETE, name, shape.target, statement, alike.needed)
        if together:
            statement = delete_digests(shape.target, shape.digest, together)
            yield _step(RowKind.DELETE, name, shape.target, statement, sum(counts[digest] for digest in together))
            yield from _inserts(name, shape, reinserted, self._statement_bytes)

    def _shapes_of(self, heads: Mapping[RowHead, RowEvent]) -> Mapping[RowHead, _Shape | None]:
        self._shapes.trim()
        shapes = self._shapes.entries
        unknown = [event for head, event in heads.items() if head not in shapes]
        for event in unknown:
            try:
                shape = self._shape(event)
            except (ApplyRefused, Drift):
                shape = None  # the engine raises it
            self._shapes.keep(event.table.name, event.head, shape)
        return {head: shapes[head] for head in heads}

    def _shape(self, event: RowEvent) -> _Shape | None:
        definition = definition_of(event, self._definitions, self._selection)
        columns = columns_for(event.table, definition)
        if not is_whole(event) or not _is_free(definition) or len(columns) != len(definition.columns):
            return None
        digest = digest_of(columns, is_mariadb=self._is_mariadb)
        if digest is None:
            return None
        written = tuple(c.name for c in columns)
        values = [Output(ordinal, Form.VALUE) for ordinal in range(len(columns))]
        plan = RowPlan(
            compile_pairs(event.head, columns, values),
            written,
            (),
            has_key=False,
            enum_indexes=enum_indexes(columns, written),
        )
        return _Shape(plan, definition.name, digest)


def _is_free(definition: TableDefinition) -> bool:
    """Return True if a row consists of its logged values only, and each search for a row reads the whole table."""
    return (
        definition.kind == "BASE TABLE"
        and definition.engine.upper() == "INNODB"
        and not definition.indexes
        and not definition.foreign_keys
        and not definition.triggers
        and not any(c.is_generated for c in definition.columns)
    )


def _hold_enough(events: Sequence[RowEvent], shapes: Mapping[RowHead, _Shape]) -> bool:
    """Return True if events of one table change or delete at least LEAST_ROWS rows."""
    count = 0
    for event in events:
        if event.kind is not RowKind.INSERT:
            count += len(decoded(event, shapes[event.head].plan))
            if count >= LEAST_ROWS:
                return True
    return False


def _inserts(name: TableName, shape: _Shape, rows: Sequence[Literals], statement_bytes: int) -> Iterator[ApplyStep]:
    head = insert_head(shape.target, shape.plan.written)
    for part, values in value_lists(rows, statement_bytes):
        lenient = holds_enum_zero(shape.plan, part)
        yield _step(RowKind.INSERT, name, shape.target, head + values, len(part), is_lenient=lenient)


def _step(
    kind: RowKind, name: TableName, target: TableName, statement: bytes, expected: int, *, is_lenient: bool = False
) -> ApplyStep:
    return ApplyStep(kind, name, target, (), statement, (), expected, checks_foreign_keys=True, is_lenient=is_lenient)
