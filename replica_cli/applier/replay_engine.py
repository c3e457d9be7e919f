"""The engine of the replay window: rows are made to read as the event says, whatever the copy has seen of them.

Replaying all changes of a row in order, idempotently, ends in the primary's state, because the copy saw the row at some
moment between the window's start and its end and every later change is in the log. A row in the way on another unique
key goes: it can only be there from the future, and its own later change puts it back.

What foreign keys do to children is not in the log (before MySQL 9.6). The copy reads parents before their children, so
a child's copy is never older than its parent's. Hence two rules. Children go with their parent as they did on the
primary. And a row whose parent is missing here is left alone: its parent went after this change and before it was
copied, so the row was copied later still, and its copy knows this change and what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.plan import holds_enum_zero
from replica_cli.applier.replay_plan import ReplayPlan, ReplayRow, plan_replay
from replica_cli.applier.replay_rows import KeyChange, change_key, delete_with_children, parents_are_there
from replica_cli.applier.sql_engine import decoded
from replica_cli.applier.work import DELETE_ROWS, Part, Work, portions
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RowKind
from replica_cli.sqlbuilder.rows import delete_by_key, insert_head, insert_where, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.applier.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows import Literals


class ReplayEngine:
    """Builds idempotent statements; only for tables with a key, and for whole row images."""

    def __init__(
        self, definitions: Definitions, selection: Selection, *, cascades_are_logged: bool, statement_bytes: int
    ) -> None:
        self._definitions = definitions
        self._selection = selection
        self._cascades_are_logged = cascades_are_logged
        self._statement_bytes = statement_bytes
        self._plans: dict[tuple[TableMap, RowKind, bytes, bytes, int], ReplayPlan] = {}

    def prepare(self) -> None:
        """Do nothing: statements need no preparation."""

    def forget(self) -> None:
        """Forget the plans: a definition changed."""
        self._plans.clear()

    def works(self, events: Sequence[RowEvent]) -> list[Work]:
        """Return the statements for consecutive row events, in order."""
        return [work for event in events for work in self._works(event)]

    def _works(self, event: RowEvent) -> Iterator[Work]:
        plan = self._plan(event)
        rows = [plan.row(literals, event.kind) for literals in decoded(event, plan.rows)]
        if event.kind is RowKind.INSERT:
            yield from self._replaces(event, plan, rows)
        elif event.kind is RowKind.DELETE:
            yield from self._deletes(event, plan, rows)
        else:
            waiting: list[ReplayRow] = []
            for row in rows:
                if row.identity != row.old_identity:
                    yield from self._replaces(event, plan, waiting)
                    waiting = []
                    yield self._leave_key(event, plan, row)
                waiting.append(row)
            yield from self._replaces(event, plan, waiting)

    def _deletes(self, event: RowEvent, plan: ReplayPlan, rows: list[ReplayRow]) -> Iterator[Work]:
        key = plan.rows.found_by
        for part in portions([r.old_identity + r.old_values for r in rows], self._statement_bytes, DELETE_ROWS):
            statement = delete_by_key(plan.definition.name, key, [row[: len(key)] for row in part])
            procedure = None
            if plan.cascades:
                # The parent may have been copied after it went, and its children before (in a table that refers to
                # itself): so it is put there first.
                before = [row[len(plan.identity) :] for row in part]
                procedure = delete_with_children(self._put_back(plan, before), statement)
            yield self._work(event, plan, len(part), statement, procedure=procedure)

    def _leave_key(self, event: RowEvent, plan: ReplayPlan, row: ReplayRow) -> Work:
        key = plan.rows.found_by
        if not plan.cascades:
            statement = delete_by_key(plan.definition.name, key, [row.old_identity[: len(key)]])
            return self._work(event, plan, 0, statement)
        pairs = zip(row.old_identity, row.identity, strict=True)
        change = KeyChange(plan.definition, dict(zip(plan.identity, pairs, strict=True)))
        procedure = change_key(
            change, plan.followers, self._put_back(plan, [row.old_values]), parents_are_there(plan, row.references)
        )
        return self._work(event, plan, 0, b"", procedure=procedure)

    def _put_back(self, plan: ReplayPlan, rows: Sequence[Literals]) -> bytes:
        return insert_head(plan.definition.name, plan.rows.written, replaces=True) + values(rows)

    def _replaces(self, event: RowEvent, plan: ReplayPlan, rows: list[ReplayRow]) -> Iterator[Work]:
        if plan.references:
            for row in rows:
                condition = parents_are_there(plan, row.references)
                statement = insert_where(plan.definition.name, plan.rows.written, row.values, condition, replaces=True)
                lenient = holds_enum_zero(plan.rows, (row.values,))
                yield self._work(event, plan, 1, statement, is_lenient=lenient)
            return
        head = insert_head(plan.definition.name, plan.rows.written, replaces=True)
        for part in portions([r.values for r in rows], self._statement_bytes):
            yield self._work(event, plan, len(part), head + values(part), is_lenient=holds_enum_zero(plan.rows, part))

    def _work(
        self,
        event: RowEvent,
        plan: ReplayPlan,
        rows: int,
        statement: bytes,
        *,
        is_lenient: bool = False,
        procedure: Callable[[Session], int] | None = None,
    ) -> Work:
        # Without foreign key checks: a parent may not have come yet.
        return Work(
            (Part(event.kind, event.table.name, rows),), plan.definition.name, plan.rows.found_by, statement, None,
            checks_foreign_keys=False, is_lenient=is_lenient, procedure=procedure,
        )  # fmt: skip

    def _plan(self, event: RowEvent) -> ReplayPlan:
        unchecked = event.flags & NO_FOREIGN_KEY_CHECKS
        key = (event.table, event.kind, event.present, event.present_after, unchecked)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = plan_replay(
                event, self._definitions, self._selection, cascades_are_logged=self._cascades_are_logged
            )
        return plan
