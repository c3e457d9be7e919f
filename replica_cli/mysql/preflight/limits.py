"""Check the limits of a server and of our account: connections at a time, and statements in an hour.

A server refuses a connection or a statement over a limit, and the process waits. Without a finding before that, a copy
waits for connections that the copy itself holds, and a stream waits for the next hour.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.core.reports.health import Finding, HealthLevel
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import SessionNeed
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.preflight.grants import Grants
    from replica_cli.mysql.session import Session

# Twice what a stream needs in an hour without changes: it writes a heartbeat at most once a second, and the health
# monitor looks at both servers each half minute.
_LEAST_AN_HOUR = {"MAX_QUERIES_PER_HOUR": 20_000, "MAX_UPDATES_PER_HOUR": 10_000, "MAX_CONNECTIONS_PER_HOUR": 1_000}
_DEFAULT_CONNECTIONS = 151
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`")
_LIMIT = re.compile(rf"\b({'|'.join(_LEAST_AN_HOUR)}) (\d+)")


def check_limits(session: Session, facts: ServerFacts, grants: Grants, need: SessionNeed) -> tuple[Finding, ...]:
    """Compare the limits of one server with what this process needs on it.

    Raises:
        ServerError: only if the connection is lost.
    """
    side = "primary" if need.is_primary else "secondary"
    return (
        _connections(session, facts, grants, need, f"{side}-connections"),
        *_hourly(session, grants, f"{side}-hourly-limits"),
    )


def _connections(session: Session, facts: ServerFacts, grants: Grants, need: SessionNeed, name: str) -> Finding:
    limits = {"max_connections": int(facts.variables.get("max_connections", 0))}
    # MySQL limits every account. MariaDB does not limit accounts with one of these privileges.
    is_unlimited = facts.is_mariadb and any(grants.allows(p) for p in ("CONNECTION ADMIN", "SUPER"))
    row = session.row("SELECT @@SESSION.max_user_connections")
    if row is not None and int(row[0]) > 0 and not is_unlimited:
        limits["max_user_connections"] = int(row[0])
    variable, limit = min(limits.items(), key=lambda item: item[1])
    if not limit or limit >= need.most:
        return Finding(name, HealthLevel.OK, f"replica opens up to {need.most} connections, {variable} is {limit}")
    level = HealthLevel.CRITICAL if limit < need.least else HealthLevel.WARNING
    needed = f"a stream needs {need.least}" if level is HealthLevel.CRITICAL else f"a copy opens up to {need.most}"
    hint = f"SET GLOBAL max_connections = {max(_DEFAULT_CONNECTIONS, need.most)};"
    if variable == "max_user_connections":
        hint = f"ALTER USER {grants.account} WITH MAX_USER_CONNECTIONS {need.most};"
    if workers := need.workers_for(limit):
        hint += f" or set REPLICA_TRANSFER_WORKERS={workers}"
    return Finding(name, level, f"{variable} is {limit}, and {needed} connections", hint, limit, "connections")


def _hourly(session: Session, grants: Grants, name: str) -> Iterator[Finding]:
    try:
        row = session.row("SHOW CREATE USER CURRENT_USER()")
    except ServerError as error:
        if error.is_connection_lost:
            raise
        return
    # The answer holds the hash of the password. Only the limits leave this function.
    all_limits = {n: int(value) for n, value in _LIMIT.findall(_QUOTED.sub("''", str(row[0]) if row else ""))}
    limits = {n: limit for n, limit in all_limits.items() if limit}
    if not limits:
        return
    too_low = [n for n, limit in limits.items() if limit < _LEAST_AN_HOUR[n]]
    message = f"{grants.account} is limited: {', '.join(f'{n} {limit}' for n, limit in limits.items())}"
    if too_low:
        message += f"; even if nothing changes, a stream needs {', '.join(f'{n} {_LEAST_AN_HOUR[n]}' for n in too_low)}"
    hint = f"ALTER USER {grants.account} WITH {' '.join(f'{n} 0' for n in limits)};"
    yield Finding(name, HealthLevel.CRITICAL if too_low else HealthLevel.WARNING, message, hint)
