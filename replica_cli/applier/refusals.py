"""What becomes of a statement that the secondary refuses: its table is copied again, or its table has failed.

A copy makes a table from the primary's own definition, with what the copy leaves out or translates, and refuses by name
what cannot be. So a definition that this server cannot carry out as it was written is left to a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.core.errors import ApplyRefused
from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.table import TableName
    from replica_cli.mysql.errnos import ServerError
    from replica_cli.sqlbuilder.statement import ParsedStatement

# What a server answers to a definition that it cannot make, whatever the table holds: of the statement, not of the
# table here. An error that may say that the secondary's table, or its rows, are not the primary's is not among them: a
# copy would hide that somebody changed them.
_OF_DEFINITIONS = frozenset({
    1005,  # cannot create: a foreign key that does not fit, or whose parent is missing
    1031, 1112, 1178, 1478,  # the engine has no such option
    1064, 1235, 1911, 1912,  # syntax, options and values that another flavour or release does not know
    1067, 1101, 1294, 1674,  # defaults
    1070, 1071, 1089, 1163, 1164, 1167, 1170,  # keys and counters that the engine does not take
    1074, 1113, 1115, 1117, 1118, 1273, 4161,  # columns: too long, too many, of a charset or a type that is not there
    1215, 1822, 1824, 3734, 3780, 6125,  # foreign keys
    1286, 3161, 3510,  # engines and tablespaces that are not there
    1305, 1630,  # functions that are not there
    1901, 1903, 1906, 1909, 3102, 3105, 3106, 3757, 3758, 3763, 3770, 3774,  # expressions of columns, keys and defaults
    3750, 3812, 3813, 3822,  # a primary key is required; checks
})  # fmt: skip
# What cannot be dropped: of a table whose constraints have other names here, as MySQL takes a name once in a schema.
_CANNOT_DROP = frozenset({1091, 3821, 3940})
# Our user may not do it: the copy may not either.
_RIGHTS = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1410})
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
    is_of_definition = error.errno in _OF_DEFINITIONS or (error.errno in _CANNOT_DROP and has_other_names(parsed))
    may_copy = is_of_definition or (is_new and error.errno not in _RIGHTS)
    if parsed.kind in _DEFINING and selected and may_copy:
        return TableChangedInWindow(tuple(dict.fromkeys(selected)), message)
    return ApplyRefused(message, hint=hint, table=next(iter(selected), None))
