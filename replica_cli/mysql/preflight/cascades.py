"""Find tables whose rows a foreign key changes without a trace in the log, because the parent is not replicated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.core.reports.health import Finding, HealthLevel

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

_NAME = "cascades"
# Checked here as well as by the copy: since the copy an ALTER may have added a parent, or cascades were logged then.
_ACTING = """SELECT constraint_schema, table_name, unique_constraint_schema, referenced_table_name
 FROM information_schema.referential_constraints
 WHERE delete_rule NOT IN ('RESTRICT', 'NO ACTION') OR update_rule NOT IN ('RESTRICT', 'NO ACTION')"""


def check_cascades(session: Session, facts: ServerFacts, selection: Selection) -> Finding:
    """Look for such tables on a MySQL with innodb_native_foreign_keys=ON. On other servers the copy refuses them."""
    if facts.logs_cascades or not facts.is_on("innodb_native_foreign_keys"):
        return Finding(_NAME, HealthLevel.OK, "changes by foreign keys are logged, or the copy checks for them")
    cascades = []
    for schema, table, parent_schema, parent in session.rows(_ACTING):
        child_name, parent_name = TableName(str(schema), str(table)), TableName(str(parent_schema), str(parent))
        if selection.target(child_name) is not None and selection.target(parent_name) is None:
            cascades.append(f"{child_name} by {parent_name}")
    if not cascades:
        return Finding(_NAME, HealthLevel.OK, "no foreign key to a table outside the filters changes rows")
    return Finding(
        _NAME,
        HealthLevel.CRITICAL,
        "innodb_native_foreign_keys=ON: foreign keys to tables outside the filters change rows, and the log does not "
        f"show it: {', '.join(sorted(cascades))}",
        "replicate the parents too, leave the children out with REPLICA_EXCLUDE_TABLES, or start the primary with "
        "innodb_native_foreign_keys=OFF",
    )
