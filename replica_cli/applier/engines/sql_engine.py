"""The SQL engine: it decodes rows and writes them with SQL statements, strictly.

Each row that is updated or deleted must exist, and a row that is inserted must not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.engines.compaction import compacted_steps
from replica_cli.applier.engines.definitions import definition_of, target_of
from replica_cli.applier.engines.row_plan import RowPlan, holds_enum_zero, plan_comparison, plan_rows
from replica_cli.applier.engines.steps import DELETE_ROWS, ApplyStep, RowCount, cuts, portions, value_lists
from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.errors import UnsupportedEvent
from replica_cli.core.events import CASCADES_ARE_LOGGED, NO_FOREIGN_KEY_CHECKS, RowKind
from replica_cli.sqlbuilder.rows.row_statements import (
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

    from replica_cli.applier.engines.compaction import Compaction
    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.decoder.compile import RowsFunction
    from replica_cli.sqlbuilder.rows.row_statements import Literals

# If the primary has logged what it cascaded, the secondary must not cascade too.
_WITHOUT_CHECKS = NO_FOREIGN_KEY_CHECKS | CASCADES_ARE_LOGGED


class SqlEngine:
    """Builds statements from row events; it needs the secondary's definitions and nothing else from the server.

    `statement_bytes` limits one statement, unless one row alone is larger. With `compares`, a SELECT before the
    statements of each UPDATE or DELETE event counts the rows that differ from the before images. Without `compaction`
    no rows are folded, and each updated row has a statement of its own, so that an error can name what fails.
    """

    def __init__(
        self,
        definitions: Definitions,
        selection: Selection,
        *,
        statement_bytes: int,
        compaction: Compaction | None = None,
        compares: bool = False,
    ) -> None:
        self._definitions = definitions
        self._selection = selection
        self._statement_bytes = statement_bytes
        self._compaction = compaction
        self._plans: TableCache[tuple[TableMap, RowKind, bytes, bytes], RowPlan] = TableCache()
        self._compares = compares
        self._comparison_plans: TableCache[
            tuple[TableMap, RowKind, bytes, bytes], tuple[RowsFunction, bytes] | None
        ] = TableCache()

    def preparation(self) -> Sequence[Sequence[bytes]]:
        """Return nothing: statements need no preparation."""
        return ()

    def forget(self, tables: Collection[TableName] = ()) -> None:
        """Forget the plans of tables, or all plans: definitions changed."""
        self._plans.forget(tables)
        self._comparison_plans.forget(tables)
        if self._compaction is not None:
            self._compaction.forget(tables)

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        """Yield the steps for consecutive row events; neighbouring events with the same plan share statements."""
        return compacted_steps(self._compaction, events, self._steps)

    def _steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        if self._compares:
            for event in events:
                plan = self._plan(event)
                rows = decoded(event, plan)
                yield from self._comparisons(event)
                yield from self._statements(event, plan, rows)
            return
        for event, plan, rows in self._merged(events):
            yield from self._statements(event, plan, rows)

    def _comparisons(self, event: RowEvent) -> Iterator[ApplyStep]:
        """Yield the SELECTs that find the rows that differ from an event's before images; they run right before it."""
        name, target = event.table.name, target_of(event.table, self._selection)
        shape = (event.table, event.kind, event.head.present, event.head.present_after)
        if shape not in self._comparison_plans.entries:
            definition = definition_of(event, self._definitions, self._selection)
            self._comparison_plans.keep(name, shape, plan_comparison(event, definition))
        plan = self._comparison_plans.entries[shape]
        if plan is None:
            return
        decode, template = plan
        conditions = [template % row for row in decode(event.raw, event.head.rows_start, len(event.raw))]
        for part in cuts([len(c) for c in conditions], self._statement_bytes, DELETE_ROWS):
            statement = select_any(target, conditions[part])
            yield ApplyStep(
                event.kind, name, target, (), statement, (), None, checks_foreign_keys=None, is_comparison=True
            )

    def _merged(self, events: Sequence[RowEvent]) -> Iterator[tuple[RowEvent, RowPlan, list[Literals]]]:
        """Yield the rows of neighbouring events that can share statements, with their last event and its plan."""
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
            plan = self._plans.keep(event.table.name, key, self._compile(event))
        return plan

    def _compile(self, event: RowEvent) -> RowPlan:
        return plan_rows(event, definition_of(event, self._definitions, self._selection))

    def _statements(self, event: RowEvent, plan: RowPlan, rows: list[Literals]) -> Iterator[ApplyStep]:
        name, target = event.table.name, target_of(event.table, self._selection)
        checks = not event.head.flags & _WITHOUT_CHECKS
        key = plan.found_by if plan.has_key else ()

        def step(count: int, statement: bytes, *, is_lenient: bool = False) -> ApplyStep:
            parts = (RowCount(event.kind, name, count),)
            return ApplyStep(event.kind, name, target, key, statement, parts, count, checks, is_lenient)

        if event.kind is RowKind.INSERT:
            head = insert_head(target, plan.written)
            for part, values in value_lists(rows, self._statement_bytes):
                yield step(len(part), head + values, is_lenient=holds_enum_zero(plan, part))
        elif event.kind is RowKind.DELETE and plan.has_key:
            for part in portions(rows, self._statement_bytes, DELETE_ROWS):
                yield step(len(part), delete_by_key(target, plan.found_by, part))
        elif event.kind is RowKind.UPDATE and plan.can_join and event.folded_rows:
            # In an event that compaction made, each key occurs once, and no key changes.
            for part in portions(rows, self._statement_bytes):
                joined = update_joined(target, plan.written, plan.found_by, part)
                yield step(len(part), joined, is_lenient=holds_enum_zero(plan, part))
        else:
            template = _template(event.kind, target, plan)
            for row in rows:
                yield step(1, template % row, is_lenient=holds_enum_zero(plan, (row,)))


def _goes_with(event: RowEvent, last: RowEvent) -> bool:
    """Return True if an event can share statements with the event before it, which has the same plan."""
    return event.head.flags == last.head.flags and bool(event.folded_rows) == bool(last.folded_rows)


def _template(kind: RowKind, target: TableName, plan: RowPlan) -> bytes:
    if kind is RowKind.DELETE:
        return delete_template(target, plan.compared, plan.indexed)
    if plan.has_key:
        return update_template(target, plan.written, plan.found_by)
    return update_whole_row_template(target, plan.written, plan.compared, plan.indexed)


def decoded(event: RowEvent, plan: RowPlan) -> list[Literals]:
    """Return an event's rows as literals.

    Raises:
        UnsupportedEvent: with the table's name: for a partial JSON update, and as the decoder does.

    """
    if event.head.is_partial_json:
        raise UnsupportedEvent(
            f"{event.table.name}: a partial JSON update, which SQL cannot repeat",
            hint="SET GLOBAL binlog_row_value_options='' on the primary, then `replica transfer --table SCHEMA.TABLE`",
            table=event.table.name,
        )
    try:
        return plan.decode(event.raw, event.head.rows_start, len(event.raw))
    except UnsupportedEvent as error:
        error.message = f"{event.table.name}: {error.message}"
        error.args = (error.message,)
        error.table = event.table.name
        raise
