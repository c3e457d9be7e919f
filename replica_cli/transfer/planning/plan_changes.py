"""Compare the plan that was shown with the plan that runs: a plan that is no longer valid is made again.

Each kind of difference is one log line, written before anything is changed. If rows of a table would be deleted, and
the shown plan did not say that, the copy does not begin.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.transfer.errors import PlanChanged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.reports.transfer import PlannedTable
    from replica_cli.transfer.planning.plan import CopyPlan

logger = logging.getLogger(__name__)

_NAMED_TABLES = 3


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """How a plan differs from the plan that was shown; pairs are the table as it was shown, and as it is planned now.

    Attributes:
        replaced: the tables whose rows would be deleted although the shown plan did not say that.
    """

    added: tuple[PlannedTable, ...] = ()
    removed: tuple[PlannedTable, ...] = ()
    other_actions: tuple[tuple[PlannedTable, PlannedTable], ...] = ()
    other_methods: tuple[tuple[PlannedTable, PlannedTable], ...] = ()
    replaced: tuple[TableName, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Return one sentence for each kind of difference; it names the first tables."""
        actions = [f"{now.name} ({before.action}, now {now.action})" for before, now in self.other_actions]
        methods = [f"{now.name} ({before.method}, now {now.method})" for before, now in self.other_methods]
        sentences = (
            ("added to the plan", [str(table.name) for table in self.added]),
            ("removed from the plan", [str(table.name) for table in self.removed]),
            ("given another action", actions),
            ("given another method", methods),
        )
        return tuple(_sentence(what, tables) for what, tables in sentences if tables)


def compare_plans(
    shown: Sequence[PlannedTable], current: Sequence[PlannedTable], unfinished: Collection[TableName] = ()
) -> PlanChanges:
    """Return how `current` differs from `shown`.

    Args:
        shown: the tables of the plan that was shown.
        current: the tables of the plan that would run.
        unfinished: tables whose copy is not finished. Their rows are those of that copy, and may be deleted.

    """
    before = {table.name: table for table in shown}
    now = {table.name: table for table in current}
    both = [(before[name], table) for name, table in now.items() if name in before]
    return PlanChanges(
        added=tuple(table for name, table in now.items() if name not in before),
        removed=tuple(table for name, table in before.items() if name not in now),
        other_actions=tuple(pair for pair in both if pair[0].action is not pair[1].action),
        other_methods=tuple(pair for pair in both if pair[0].method is not pair[1].method),
        replaced=tuple(
            name
            for name, table in now.items()
            if table.action is TableAction.REPLACE
            and (name not in before or before[name].action is not TableAction.REPLACE)
            and name not in unfinished
        ),
    )


def check_plan_changes(shown: CopyPlan, current: CopyPlan) -> None:
    """Log how the plan that would run differs from the plan that was shown.

    Raises:
        PlanChanged: rows of a table would be deleted although the shown plan did not say that.
    """
    changes = compare_plans(shown.shown, current.shown, current.secondary_state.unfinished)
    for line in changes.lines:
        log(logger, logging.WARNING, Tag.WARN, "since the plan was shown, %s", line, instance=current.instance)
    if changes.replaced:
        is_restart = current.mode is TransferMode.RESTART
        raise PlanChanged(current.instance, changes.replaced, () if is_restart else [t.name for t in shown.shown])


def _sentence(what: str, tables: Sequence[str]) -> str:
    more = len(tables) - _NAMED_TABLES
    named = ", ".join(tables[:_NAMED_TABLES]) + (f" and {more} more" if more > 0 else "")
    return f"{counted(len(tables), 'table')} {'was' if len(tables) == 1 else 'were'} {what}: {named}"
