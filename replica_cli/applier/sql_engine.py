"""The SQL engine: rows are decoded and written as statements, strictly: every row must be found, none may be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.compaction import with_counts
from replica_cli.applier.plan import RowPlan, holds_enum_zero, plan_looks, plan_rows
from replica_cli.applier.steps import DELETE_ROWS, ApplyStep, RowCount, cuts, portions, value_lists
from replica_cli.applier.table_cache import TableCache
from replica_cli.applier.target import definition_of, target_of
from replica_cli.core.errors import UnsupportedEvent
from replica_cli.core.events import CASCADES_ARE_LOGGED, NO_FOREIGN_KEY_CHECKS, RowKind
from replica_cli.sqlbuilder.rows import (
    delete_by_key,
    delete_template,
    insert_head,
    select_any,
    update_joined,
    update_template,
    update_whole_row_template,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from replica_cli.applier.compaction import Compaction
    from replica_cli.applier.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.decoder.compile import RowsFunction
    from replica_cli.sqlbuilder.rows import Literals

# Where the primary logged what it cascaded, the secondary must not cascade too.
_WITHOUT_CHECKS = NO_FOREIGN_KEY_CHECKS | CASCADES_ARE_LOGGED


class SqlEngine:
    """Builds statements from row events; needs the secondary's definitions and nothing else of the server.

    With `looks` the rows are held against the image before, which takes a SELECT more for each event of changes.
    `statement_bytes` limits one statement, unless one row alone is larger. Without `compaction` every event is carried
    out by itself, so that what fails can be told.
    """

    def __init__(
        self,
        definitions: Definitions,
        selection: Selection,
        *,
        statement_bytes: int,
        compaction: Compaction | None = None,
        looks: bool = False,
    ) -> None:
        self._definitions = definitions
        self._selection = selection
        self._statement_bytes = statement_bytes
        self._compaction = compaction
        self._plans: TableCache[tuple[TableMap, RowKind, bytes, bytes], RowPlan] = TableCache()
        self._looks = looks
        self._look_plans: TableCache[tuple[TableMap, RowKind, bytes, bytes], tuple[RowsFunction, bytes] | None] = (
            TableCache()
        )

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return nothing: statements need no preparation."""
        return ()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the plans of tables, or all: definitions changed."""
        self._plans.forget(tables)
        self._look_plans.forget(tables)
        if self._compaction is not None:
            self._compaction.forget(tables)

    def works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the statements for consecutive row events; neighbours of one kind become one statement."""
        if self._compaction is None:
            return self._works(events)
        compacted = self._compaction.compact(events)
        return with_counts(self._works(compacted.events), compacted.parts)

    def _works(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        if self._looks:
            for event in events:
                plan = self._plan(event)
                rows = decoded(event, plan)
                yield from self._look(event)
                yield from self._statements(event, plan, rows)
            return
        for event, plan, rows in self._merged(events):
            yield from self._statements(event, plan, rows)

    def _look(self, event: RowEvent) -> Iterator[ApplyStep]:
        """Yield what finds the rows that are not as an event saw them, right before it changes them."""
        name, target = event.table.name, target_of(event.table, self._selection)
        shape = (event.table, event.kind, event.head.present, event.head.present_after)
        if shape not in self._look_plans.entries:
            definition = definition_of(event, self._definitions, self._selection)
            self._look_plans.keep(name, shape, plan_looks(event, definition))
        found = self._look_plans.entries[shape]
        if found is None:
            return
        decode, template = found
        conditions = [template % row for row in decode(event.raw, event.head.rows_start, len(event.raw))]
        for part in cuts([len(c) for c in conditions], self._statement_bytes, DELETE_ROWS):
            statement = select_any(target, conditions[part])
            yield ApplyStep(event.kind, name, target, (), statement, (), None, checks_foreign_keys=None, is_look=True)

    def _merged(self, events: Sequence[RowEvent]) -> Iterator[tuple[RowEvent, RowPlan, list[Literals]]]:
        last: tuple[RowEvent, RowPlan] | None = None
        rows: list[Literals] = []
        for event in events:
            plan = self._plan(event)
            if last is not None and not (plan is last[1] and _goes_with(event, last[0])):
                yield (*last, rows)
                rows = []
            last = (event, plan)
            rows.extend(decoded(event, plan))
        if last is not None:
            yield (*last, rows)

    def _plan(self, event: RowEvent) -> RowPlan:
        key = (event.table, event.kind, event.head.present, event.head.present_after)
        plan = self._plans.entries.get(key)
        if plan is None:
            plan = self._plans.keep(event.table.name, key, self._learn(event))
        return plan

    def _learn(self, event: RowEvent) -> RowPlan:
        return plan_rows(event, definition_of(event, self._definitions, self._selection))

    def _statements(self, event: RowEvent, plan: RowPlan, rows: list[Literals]) -> Iterator[ApplyStep]:
        name, target = event.table.name, target_of(event.table, self._selection)
        checks = not event.head.flags & _WITHOUT_CHECKS
        key = plan.found_by if plan.has_key else ()

        def work(count: int, statement: bytes, *, is_lenient: bool = False) -> ApplyStep:
            parts = (RowCount(event.kind, name, count),)
            return ApplyStep(event.kind, name, target, key, statement, parts, count, checks, is_lenient)

        if event.kind is RowKind.INSERT:
            head = insert_head(target, plan.written)
            for part, values in value_lists(rows, self._statement_bytes):
                yield work(len(part), head + values, is_lenient=holds_enum_zero(plan, part))
        elif event.kind is RowKind.DELETE and plan.has_key:
            for part in portions(rows, self._statement_bytes, DELETE_ROWS):
                yield work(len(part), delete_by_key(target, plan.found_by, part))
        elif event.kind is RowKind.UPDATE and plan.can_join and event.row_count:
            # Folded rows: each key is there once, and none of them changes.
            for part in portions(rows, self._statement_bytes):
                joined = update_joined(target, plan.written, plan.found_by, part)
                yield work(len(part), joined, is_lenient=holds_enum_zero(plan, part))
        else:
            template = _template(event.kind, target, plan)
            for row in rows:
                yield work(1, template % row, is_lenient=holds_enum_zero(plan, (row,)))


def _goes_with(event: RowEvent, last: RowEvent) -> bool:
    """Say whether an event of the same plan can be carried out together with the one before it."""
    return event.head.flags == last.head.flags and bool(event.row_count) == bool(last.row_count)


def _template(kind: RowKind, target: TableName, plan: RowPlan) -> bytes:
    if kind is RowKind.DELETE:
        return delete_template(target, plan.compared, plan.indexed)
    if plan.has_key:
        return update_template(target, plan.written, plan.found_by)
    return update_whole_row_template(target, plan.written, plan.compared, plan.indexed)


def decoded(event: RowEvent, plan: RowPlan) -> list[Literals]:
    """Return an event's rows as literals. Raises UnsupportedEvent with the table's name."""
    if event.head.is_partial_json:
        raise UnsupportedEvent(
            f"{event.table.name}: a partial JSON update",
            hint="SET GLOBAL binlog_row_value_options='' on the primary, then copy the table again",
            table=event.table.name,
        )
    try:
        return plan.decode(event.raw, event.head.rows_start, len(event.raw))
    except UnsupportedEvent as error:
        error.message = f"{event.table.name}: {error.message}"
        error.args = (error.message,)
        error.table = event.table.name
        raise
