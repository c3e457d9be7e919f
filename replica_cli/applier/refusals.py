"""What becomes of a statement that the secondary refuses: its table is copied again, or its table has failed.

A copy makes a table from the primary's own definition, with what the copy leaves out or translates, and refuses by name
what cannot be. So a definition that this server cannot carry out as it was written is left to a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.checkpoint.tables import OF_SECONDARY
from replica_cli.core.errors import ApplyRefused
from replica_cli.mysql.errnos import CANNOT_DROP, ER_TABLE_EXISTS, OF_DEFINITIONS, RIGHTS
from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.table import TableName
    from replica_cli.mysql.errnos import ServerError
    from replica_cli.sqlbuilder.statement import ParsedStatement

_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)


def refusal(
    error: ServerError,
    parsed: ParsedStatement,
    shown: str,
    selected: Sequence[TableName],
    *,
    is_new: bool,
    has_other_names: Callable[[ParsedStatement], bool],
    hint: str,
) -> ReplicaError:
    """Return what a refused statement on some tables (the primary's names) is raised as.

    `is_new`: it makes a table, and the secondary has none of that name, so that a copy replaces nothing.
    `has_other_names` says whether a constraint that it drops may have another name here. `shown` is the statement for a
    message, `hint` what to do about the failure.
    """
    message = f"{error.server} refuses a statement (error {error.errno}): {shown}"
    if error.errno == ER_TABLE_EXISTS and not is_new:
        message += f"; {OF_SECONDARY}"
    is_of_definition = error.errno in OF_DEFINITIONS or (error.errno in CANNOT_DROP and has_other_names(parsed))
    may_copy = is_of_definition or (is_new and error.errno not in RIGHTS)
    if parsed.kind in _DEFINING and selected and may_copy:
        return TableChangedInWindow(tuple(dict.fromkeys(selected)), message)
    return ApplyRefused(message, hint=hint, table=next(iter(selected), None))
