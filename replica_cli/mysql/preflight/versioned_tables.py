"""Check for tables that keep history (MariaDB's system versioning): only row images write the primary's times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.reports.health import Finding, HealthLevel
from replica_cli.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.preflight.grants import Grants

_NAMED = 3


def may_replay(facts: ServerFacts, grants: Grants) -> bool:
    """Return True if an account may run BINLOG statements on a secondary."""
    # MySQL's BINLOG_ADMIN allows the statement, but not to set gtid_next back, which must follow it.
    names = ("BINLOG REPLAY", "SUPER") if facts.is_mariadb else ("REPLICATION_APPLIER", "SUPER")
    return any(grants.allows(name) for name in names)


def check_history(
    versioned: Sequence[TableName], facts: ServerFacts, grants: Grants, *, is_sql_wanted: bool
) -> Iterator[Finding]:
    """Yield a warning if tables with history are selected and the secondary gets no row images.

    `versioned` are the selected tables with history. `is_sql_wanted` is True if the user excluded row images. For MySQL
    there is no warning: MySQL has no such tables, and the copy refuses them.
    """
    if not versioned or not facts.is_mariadb or (may_replay(facts, grants) and not is_sql_wanted):
        return
    reason = "REPLICA_ENGINE is sql" if is_sql_wanted else "this account may not run BINLOG"
    hint = "set REPLICA_ENGINE=auto" if is_sql_wanted else ""
    if not may_replay(facts, grants):
        hint = "; ".join(filter(None, (f"GRANT BINLOG REPLAY ON *.* TO {grants.account};", hint)))
    names = ", ".join(map(str, versioned[:_NAMED])) + (", ..." if len(versioned) > _NAMED else "")
    message = (
        f"{counted(len(versioned), 'table')} with history ({names}): only row images can write their changes, but "
        f"{reason}: the stream quarantines such a table at its next change"
    )
    yield Finding("history-tables", HealthLevel.WARNING, message, hint, len(versioned), "tables")
