"""The errors of a copy, of a table and of a chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import former_name_advice, table_options
from replica_cli.core.errors import ApplyRefused, ReplicaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.table import TableName


class TablesOccupied(ApplyRefused):
    """Tables that the copy would fill hold rows already.

    `others` are the instances that have a saved position in the same state schema.
    """

    code = "tables_occupied"

    def __init__(self, instance: str, tables: Sequence[TableName], others: Sequence[str] = ()) -> None:
        names = ", ".join(map(str, tables))
        former = f"{former_name_advice(others)}; " if others else ""
        super().__init__(
            f"{instance}: no position is saved, and these tables hold rows: {names}",
            hint=f"{former}`replica position reset --to FILE:POS` goes on if they hold the primary's rows as of that "
            "position; `replica transfer --restart --dry-run` shows what a new copy would replace",
        )
        self.tables = tuple(tables)


class TablesMissing(ApplyRefused):
    """The first copy is done, and some tables of the selection are not on the secondary or are quarantined."""

    code = "tables_missing"

    def __init__(self, instance: str, tables: Sequence[TableName]) -> None:
        names = ", ".join(map(str, tables))
        super().__init__(
            f"{instance}: the first copy is done, and these tables are missing or quarantined: {names}",
            hint=f"`replica transfer {table_options(tables)}` copies only these",
        )


class TablesRefused(ApplyRefused):
    """Tables that cannot be copied exactly, each with its reason."""

    code = "tables_refused"

    def __init__(self, refused: Mapping[TableName, str], *, note: str = "") -> None:
        reasons = tuple(t if t.startswith(str(name)) else f"{name}: {t}" for name, t in refused.items())
        super().__init__("; ".join(reasons), hint=f"{note}leave these tables out with REPLICA_EXCLUDE_TABLES")
        self.refused = dict(refused)
        self.reasons = reasons


class PlanChanged(ApplyRefused):
    """Rows of tables would be deleted although the plan that was shown did not say that.

    `tables` would be replaced. `requested` are the tables that the user named, empty for a copy that replaces all.
    """

    code = "plan_changed"

    def __init__(self, instance: str, tables: Sequence[TableName], requested: Sequence[TableName]) -> None:
        names = ", ".join(map(str, tables))
        command = f"transfer {table_options(requested)}" if requested else "transfer --restart"
        super().__init__(
            f"{instance}: the plan has changed since it was shown: the rows of these tables would be deleted, and the "
            f"plan did not say that: {names}",
            hint=f"nothing was changed; `replica {command}` shows the plan as it is now",
        )
        self.tables = tuple(tables)


class CopyIncomplete(ApplyRefused):
    """Tables failed while they were copied. `failed` has the message of each table, by its name as text."""

    code = "copy_incomplete"

    def __init__(self, instance: str, failed: Mapping[str, str]) -> None:
        reasons = ", ".join(f"{table}: {message}" for table, message in failed.items())
        super().__init__(
            f"{instance}: the copy is not complete: {reasons}",
            hint="correct that, then `replica transfer --resume` or `replica stream` goes on with the copy",
        )
        self.failed = dict(failed)


class RowTooLarge(ApplyRefused):
    """One row does not fit into a packet."""

    code = "row_too_large"


class ChunkBroken(ApplyRefused):
    """The primary's answer is not the expected chunk, or the secondary wrote another number of rows."""

    code = "chunk_broken"


class TableAltered(ReplicaError):
    """The table was altered on the primary after its copy began, so its copy must begin again."""

    code = "table_altered"


class OtherModeNeeded(ReplicaError):
    """The secondary refuses rows in one SQL mode, so the copy tries the next mode."""

    code = "other_mode_needed"
