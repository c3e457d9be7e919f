"""The engine of the replay window: rows are made to read as the event says, whatever the copy has seen of them.

Replaying all changes of a row in order, idempotently, ends in the primary's state, because the copy saw the row at some
moment between the window's start and its end and every later change is in the log. A row in the way on another unique
key goes: it can only be there from the future, and its own later change puts it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.plan import RowPlan, columns_for, enum_places, holds_enum_zero, is_present, written_columns
from replica_cli.applier.replay_rows import KeyChange, change_key, delete_with_children
from replica_cli.applier.sql_engine import decoded, definition_of, target_of
from replica_cli.applier.work import Part, Work, portions
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates
from replica_cli.sqlbuilder.rows import delete_by_key, insert_head, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.applier.definitions import ChildKey, Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows import Literals


@dataclass(frozen=True, slots=True, eq=False)
class ReplayPlan:
    """How one kind of event is replayed.

    A decoded UPDATE row is the literals of `rows.written` and of `identity` after the change, then of `identity` before
    it; a DELETE row is the key's. Where the table `cascades`, the whole row before the change follows. `followers` are
    the children that take the parent's new key along.
    """

    rows: RowPlan
    definition: TableDefinition
    identity: tuple[str, ...]
    cascades: bool
    followers: tuple[tuple[ChildKey, TableDefinition], ...]


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
        rows = decoded(event, plan.rows)
        target = plan.definition.name
        if event.kind is RowKind.INSERT:
            yield from self._replaces(event, plan, rows)
        elif event.kind is RowKind.DELETE:
            width = len(plan.rows.found_by)
            for part in portions(rows, self._statement_bytes):
                statement = delete_by_key(target, plan.rows.found_by, [row[:width] for row in part])
                procedure = None
                if plan.cascades:
                    # As on the primary, children go with their parent: their rows are not in the log. The parent may
                    # have been copied after it went, and its children before: so it is put there first.
                    procedure = delete_with_children(self._put_back(plan, [row[width:] for row in part]), statement)
                yield self._work(event, plan, len(part), statement, procedure=procedure)
        else:
            yield from self._updates(event, plan, rows)

    def _updates(self, event: RowEvent, plan: ReplayPlan, rows: list[Literals]) -> Iterator[Work]:
        written, width = len(plan.rows.written), len(plan.identity)
        waiting: list[Literals] = []
        for row in rows:
            after, new = row[:written], row[written : written + width]
            old, before = row[written + width : written + 2 * width], row[written + 2 * width :]
            if new != old:
                yield from self._replaces(event, plan, waiting)
                waiting = []
                yield self._leave_key(event, plan, new, old, before)
            waiting.append(after)
        yield from self._replaces(event, plan, waiting)

    def _leave_key(self, event: RowEvent, plan: ReplayPlan, new: Literals, old: Literals, before: Literals) -> Work:
        key = tuple(c.name for c in plan.definition.row_key)
        found_by = tuple(old[plan.identity.index(name)] for name in key)
        if plan.cascades:
            change = KeyChange(plan.definition, dict(zip(plan.identity, zip(old, new, strict=True), strict=True)))
            procedure = change_key(change, plan.followers, self._put_back(plan, [before]))
            return self._work(event, plan, 0, b"", procedure=procedure)
        return self._work(event, plan, 0, delete_by_key(plan.definition.name, key, [found_by]))

    def _put_back(self, plan: ReplayPlan, rows: Sequence[Literals]) -> bytes:
        return insert_head(plan.definition.name, plan.rows.written, replaces=True) + values(rows)

    def _replaces(self, event: RowEvent, plan: ReplayPlan, rows: list[Literals]) -> Iterator[Work]:
        head = insert_head(plan.definition.name, plan.rows.written, replaces=True)
        for part in portions(rows, self._statement_bytes):
            lenient = holds_enum_zero(plan.rows, part)
            yield self._work(event, plan, len(part), head + values(part), is_lenient=lenient)

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
        key = tuple(c.name for c in plan.definition.row_key)
        # Without foreign key checks: a parent may not have come yet.
        return Work(
            (Part(event.kind, event.table.name, rows),), plan.definition.name, key, statement, None,
            checks_foreign_keys=False, is_lenient=is_lenient, procedure=procedure,
        )  # fmt: skip

    def _plan(self, event: RowEvent) -> ReplayPlan:
        # A session that did not check foreign keys cascaded nothing.
        unchecked = event.flags & NO_FOREIGN_KEY_CHECKS
        key = (event.table, event.kind, event.present, event.present_after, unchecked)
        plan = self._plans.get(key)
        if plan is None:
            target = target_of(event, self._selection)
            plan = self._plans[key] = self._compile(event, target)
        return plan

    def _compile(self, event: RowEvent, target: TableName) -> ReplayPlan:
        definition = definition_of(event, self._definitions, self._selection)
        table = event.table
        columns = columns_for(table, definition)
        if not definition.row_key:
            raise ApplyRefused(
                f"{table.name}: a table without a key cannot be replayed over its copy", table=table.name
            )
        if not all(is_present(event.present, i) for i in range(len(columns))):
            raise ApplyRefused(
                f"{table.name}: the row image is not whole, so it cannot be replayed over the copy",
                hint="set binlog_row_image=FULL on the primary, then `replica transfer --restart`",
                table=table.name,
            )
        children = self._definitions.children(target)
        referenced = {parent for child in children for _, parent in child.columns}
        key = tuple(c.name for c in definition.row_key)
        identity = (*key, *sorted(referenced.difference(key)))
        written = written_columns(columns, event.present)
        ordinals = {c.name: i for i, c in enumerate(columns)}
        values_of = [Output(ordinals[n], Form.VALUE) for n in written]
        identity_of = [Output(ordinals[n], Form.KEY) for n in identity]
        cascades = bool(referenced) and not (self._cascades_are_logged or event.flags & NO_FOREIGN_KEY_CHECKS)
        before = values_of if cascades else []
        if event.kind is RowKind.INSERT:
            decode = compile_rows(table, columns, values_of, event.present)
        elif event.kind is RowKind.DELETE:
            decode = compile_rows(table, columns, [*identity_of[: len(key)], *before], event.present)
        else:
            after = [*values_of, *identity_of]
            before = [*identity_of, *before]
            decode = compile_updates(table, columns, before, after, event.present, event.present_after)
        rows = RowPlan(decode, written, key, has_key=True, enum_places=enum_places(columns, written))
        followers = tuple((c, self._definitions.get(c.child)) for c in children if c.updates) if cascades else ()
        return ReplayPlan(rows, definition, identity, cascades, followers)
