"""The engine of the replay window: rows are made to read as the event says, whatever the copy has seen of them.

Replaying all changes of a row in order, idempotently, ends in the primary's state, because the copy saw the row at some
moment between the window's start and its end and every later change is in the log. A row in the way on another unique
key goes: it can only be there from the future, and its own later change puts it back.

That every change is in the log does not hold for rows that foreign keys change (unless MySQL logs them): such tables
are read in one snapshot and have no window. So nothing here may cascade, and foreign keys are not checked: a parent
may not have come yet.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.plan import (
    RowPlan,
    columns_for,
    enum_places,
    holds_enum_zero,
    is_present,
    refuse_history,
    written_columns,
)
from replica_cli.applier.sql_engine import decoded
from replica_cli.applier.steps import DELETE_ROWS, ApplyStep, RowCount, portions, value_lists
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates
from replica_cli.sqlbuilder.rows import delete_by_key, insert_head

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableDefinition, TableName
    from replica_cli.sqlbuilder.rows import Literals


@dataclass(frozen=True, slots=True, eq=False)
class ReplayPlan:
    """A decoded UPDATE row is the literals of `rows.written`, then the key after the change, then the key before it."""

    rows: RowPlan
    definition: TableDefinition


class ReplayEngine:
    """Builds idempotent statements; only for tables with a key, and for whole row images."""

    def __init__(self, definitions: Definitions, selection: Selection, *, statement_bytes: int) -> None:
        self._definitions = definitions
        self._selection = selection
        self._statement_bytes = statement_bytes
        self._plans: TableCache[tuple[TableMap, RowKind, bytes, bytes], ReplayPlan] = TableCache()

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return nothing: statements need no preparation."""
        return ()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the plans of tables, or all: definitions changed."""
        self._plans.forget(tables)

    def works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the statements for consecutive row events, in order."""
        return itertools.chain.from_iterable(map(self._works, events))

    def _works(self, event: RowEvent) -> Iterator[ApplyStep]:
        plan = self._plan(event)
        rows = decoded(event, plan.rows)
        if event.kind is RowKind.INSERT:
            yield from self._replaces(event, plan, rows)
        elif event.kind is RowKind.DELETE:
            yield from self._deletes(event, plan, rows, len)
        else:
            yield from self._updates(event, plan, rows)

    def _updates(self, event: RowEvent, plan: ReplayPlan, rows: list[Literals]) -> Iterator[ApplyStep]:
        written, width = len(plan.rows.written), len(plan.rows.found_by)
        waiting: list[Literals] = []
        for row in rows:
            new, old = row[written : written + width], row[written + width :]
            if new != old:
                yield from self._replaces(event, plan, waiting)
                waiting = []
                yield from self._deletes(event, plan, [old], lambda _: 0)
            waiting.append(row[:written])
        yield from self._replaces(event, plan, waiting)

    def _deletes(
        self, event: RowEvent, plan: ReplayPlan, keys: list[Literals], count: Callable[[Sequence[Literals]], int]
    ) -> Iterator[ApplyStep]:
        for part in portions(keys, self._statement_bytes, DELETE_ROWS):
            yield self._work(event, plan, count(part), delete_by_key(plan.definition.name, plan.rows.found_by, part))

    def _replaces(self, event: RowEvent, plan: ReplayPlan, rows: list[Literals]) -> Iterator[ApplyStep]:
        head = insert_head(plan.definition.name, plan.rows.written, replaces=True)
        for part, values in value_lists(rows, self._statement_bytes):
            lenient = holds_enum_zero(plan.rows, part)
            yield self._work(event, plan, len(part), head + values, is_lenient=lenient)

    def _work(
        self, event: RowEvent, plan: ReplayPlan, rows: int, statement: bytes, *, is_lenient: bool = False
    ) -> ApplyStep:
        kind, name = event.kind, event.table.name
        return ApplyStep(
            kind, name, plan.definition.name, plan.rows.found_by, statement, (RowCount(kind, name, rows),), None,
            checks_foreign_keys=False, is_lenient=is_lenient, is_replayed=True,
        )  # fmt: skip

    def _plan(self, event: RowEvent) -> ReplayPlan:
        key = (event.table, event.kind, event.head.present, event.head.present_after)
        plan = self._plans.entries.get(key)
        if plan is None:
            plan = self._plans.keep(event.table.name, key, self._compile(event))
        return plan

    def _compile(self, event: RowEvent) -> ReplayPlan:
        definition = definition_of(event, self._definitions, self._selection)
        table = event.table
        columns = columns_for(table, definition)
        refuse_history(table, columns, "its copy is not of one moment")
        _check(event, definition, columns)
        key = tuple(c.name for c in definition.row_key)
        written = written_columns(columns, event.head.present)
        ordinals = {c.name: i for i, c in enumerate(columns)}
        values_of = [Output(ordinals[name], Form.VALUE) for name in written]
        key_of = [Output(ordinals[name], Form.KEY) for name in key]
        if event.kind is RowKind.INSERT:
            decode = compile_rows(table, columns, values_of, event.head.present)
        elif event.kind is RowKind.DELETE:
            decode = compile_rows(table, columns, key_of, event.head.present)
        else:
            after = [*values_of, *key_of]
            decode = compile_updates(table, columns, key_of, after, event.head.present, event.head.present_after)
        rows = RowPlan(decode, written, key, has_key=True, enum_places=enum_places(columns, written))
        return ReplayPlan(rows, definition)


def _check(event: RowEvent, definition: TableDefinition, columns: Sequence[Column]) -> None:
    name = event.table.name
    if not definition.row_key:
        raise ApplyRefused(f"{name}: a table without a key cannot be replayed over its copy", table=name)
    bitmaps = (event.head.present, event.head.present_after) if event.kind is RowKind.UPDATE else (event.head.present,)
    written = [i for i, column in enumerate(columns) if not column.is_generated]
    if not all(is_present(bitmap, i) for bitmap in bitmaps for i in written):
        raise ApplyRefused(
            f"{name}: the row image is not whole, so it cannot be replayed over the copy",
            hint="set binlog_row_image=FULL on the primary, then `replica transfer --restart`",
            table=name,
        )
