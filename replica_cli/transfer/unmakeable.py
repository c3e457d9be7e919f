"""Find tables that settings of the secondary do not allow, so that the plan says it before a row is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.mysql.session_settings import prepare_to_make_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session

_SHOW = """SHOW SESSION VARIABLES WHERE variable_name IN
 ('sql_require_primary_key', 'sql_generate_invisible_primary_key') AND value IN ('ON', '1')"""


def find_unmakeable(secondary: Session, definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, str]:
    """Return the tables that cannot be made, by their names on the primary, each with the reason.

    Settings that our user may change for its session are changed first, as a copy does.

    Raises:
        ServerError: the secondary refuses a query or does not answer.
    """
    if secondary.is_mariadb:
        return {}
    prepare_to_make_tables(secondary)
    on = [str(name) for name, _ in secondary.rows(_SHOW)]
    if not on:
        return {}
    reason = (
        f"it has no primary key, and the secondary has {' and '.join(f'{name}=ON' for name in on)}: set that to OFF "
        "there, or give this user SESSION_VARIABLES_ADMIN"
    )
    return {name: reason for name, definition in definitions.items() if definition.primary_key is None}
