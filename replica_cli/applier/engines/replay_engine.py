"""The engine for replay windows: it writes rows so that they become what the event says, whatever the copy has read.

The copy reads a row at some moment between the start and the end of the window, and every later change of the row is in
the log. So applying all changes of the row in order, idempotently, ends in the primary's state. REPLACE deletes a row
that has the same value in another unique key. Such a row can only come from a later moment, which the copy has read,
and its own later change writes it again.

Not every change of a row is in the log if foreign keys change rows (unless MySQL logs these changes). Such tables are
read in one snapshot and have no window. So no statement of this engine may cascade. Foreign keys are not checked
either, as the parent row may come later.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import (
    RowPlan,
    columns_for,
    enum_indexes,
    holds_enum_zero,
    is_present,
    refuse_history,
    written_columns,
)
from replica_cli.applier.engines.sql_engine import decoded
from replica_cli.applier.engines.steps import DELETE_ROWS, ApplyStep, RowCount, portions, value_lists
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates
from replica_cli.sqlbuilder.rows.row_statements import delete_by_key, insert_head

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableDefinition, TableName
    from replica_cli.sqlbuilder.rows.row_statements import Literals


@dataclass(frozen=True, slots=True, eq=False)
class ReplayPlan:
    """How the events of one kind and table map become statements.

    A decoded row of an UPDATE has the literals of `rows.written`, then the key after the change, then that before it.
    """

    rows: RowPlan
    definition: TableDefinition


class ReplayEngine:
    """Builds idempotent statements: REPLACE and DELETE by key. Only for tables with a key, and for whole row images."""

    def __init__(self, definitions: Definitions, selection: Selection, *, statement_bytes: int) -> None:
        self._definitions = definitions
        self._selection = selection
        self._statement_bytes = statement_bytes
        self._plans: TableCache[tuple[TableMap, RowKind, bytes, bytes], ReplayPlan] = TableCache()

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return nothing: statements need no preparation."""
        return ()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the plans of tables, or all plans: definitions changed."""
        self._plans.forget(tables)

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the statements for consecutive row events, in order."""
        return itertools.chain.from_iterable(map(self._steps, events))

    def _steps(self, event: RowEvent) -> Iterator[ApplyStep]:
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
        pending: list[Literals] = []
        for row in rows:
            new_key, old_key = row[written : written + width], row[written + width :]
            if new_key != old_key:
                # Rows of one event may exchange their keys, so the rows before this one are written first. The row
                # itself is counted when it is written.
                yield from self._replaces(event, plan, pending)
                pending = []
                yield from self._deletes(event, plan, [old_key], lambda _: 0)
            pending.append(row[:written])
        yield from self._replaces(event, plan, pending)

    def _deletes(
        self, event: RowEvent, plan: ReplayPlan, keys: list[Literals], count: Callable[[Sequence[Literals]], int]
    ) -> Iterator[ApplyStep]:
        for part in portions(keys, self._statement_bytes, DELETE_ROWS):
            yield self._step(event, plan, count(part), delete_by_key(plan.definition.name, plan.rows.found_by, part))

    def _replaces(self, event: RowEvent, plan: ReplayPlan, rows: list[Literals]) -> Iterator[ApplyStep]:
        head = insert_head(plan.definition.name, plan.rows.written, replaces=True)
        for part, values in value_lists(rows, self._statement_bytes):
            lenient = holds_enum_zero(plan.rows, part)
            yield self._step(event, plan, len(part), head + values, is_lenient=lenient)

    def _step(
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
        refuse_history(table, columns, "its copy was not read at one moment")
        _check(event, definition, columns)
        key = tuple(c.name for c in definition.row_key)
        written = written_columns(columns, event.head.present)
        ordinals = {c.name: i for i, c in enumerate(columns)}
        value_outputs = [Output(ordinals[name], Form.VALUE) for name in written]
        key_outputs = [Output(ordinals[name], Form.KEY) for name in key]
        if event.kind is RowKind.INSERT:
            decode = compile_rows(table, columns, value_outputs, event.head.present)
        elif event.kind is RowKind.DELETE:
            decode = compile_rows(table, columns, key_outputs, event.head.present)
        else:
            after = [*value_outputs, *key_outputs]
            decode = compile_updates(table, columns, key_outputs, after, event.head.present, event.head.present_after)
        rows = RowPlan(decode, written, key, has_key=True, enum_indexes=enum_indexes(columns, written))
        return ReplayPlan(rows, definition)


def _check(event: RowEvent, definition: TableDefinition, columns: Sequence[Column]) -> None:
    name = event.table.name
    if not definition.row_key:
        raise ApplyRefused(f"{name}: a table without a key cannot be replayed over its copy", table=name)
    bitmaps = (event.head.present, event.head.present_after) if event.kind is RowKind.UPDATE else (event.head.present,)
    written = [i for i, column in enumerate(columns) if not column.is_generated]
    if not all(is_present(bitmap, i) for bitmap in bitmaps for i in written):
        raise ApplyRefused(
            f"{name}: the row image lacks columns, so it cannot be replayed over the copy",
            hint="set binlog_row_image=FULL on the primary, then `replica transfer --restart`",
            table=name,
        )
