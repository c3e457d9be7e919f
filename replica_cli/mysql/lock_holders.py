"""Find out what a connection to the secondary waits for, and who holds it, as far as our account may see that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session

_STATE = "SELECT state FROM information_schema.processlist WHERE id = %s"
_ACCOUNT = "SELECT user, host FROM information_schema.processlist WHERE id = %s"
_WAITS = re.compile(r"Waiting for (.*\block)", re.IGNORECASE)
_THREADS = "performance_schema.threads"
_ROW_LOCKS = {
    True: """SELECT b.trx_mysql_thread_id FROM information_schema.innodb_lock_waits w
 JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id
 JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id WHERE r.trx_mysql_thread_id = %s LIMIT 1""",
    False: f"""SELECT b.processlist_id FROM performance_schema.data_lock_waits w
 JOIN {_THREADS} r ON r.thread_id = w.requesting_thread_id
 JOIN {_THREADS} b ON b.thread_id = w.blocking_thread_id WHERE r.processlist_id = %s LIMIT 1""",
}
_ROW_WAIT = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %s AND trx_state = 'LOCK WAIT'"
# For MySQL only. MariaDB shows metadata locks only with a plugin, and does not show which of them is waited for.
_METADATA_LOCKS = f"""SELECT b.processlist_id FROM performance_schema.metadata_locks w
 JOIN {_THREADS} r ON r.thread_id = w.owner_thread_id
 JOIN performance_schema.metadata_locks g ON g.lock_status = 'GRANTED' AND g.object_type = w.object_type
  AND g.object_schema <=> w.object_schema AND g.object_name <=> w.object_name
 JOIN {_THREADS} b ON b.thread_id = g.owner_thread_id
 WHERE w.lock_status = 'PENDING' AND r.processlist_id = %s AND b.processlist_id <> r.processlist_id LIMIT 1"""


def what_blocks(session: Session, connection_id: int) -> str:
    """Return what a connection of our account waits for and who holds it, "" if it waits for no lock.

    `session` is another connection. The text leaves out what our account may not see.

    Raises:
        ServerError: only if the connection is lost.
    """
    blocker = _first(session, _ROW_LOCKS[session.is_mariadb], connection_id)
    lock = "a row lock"
    if blocker is None and _first(session, _ROW_WAIT, connection_id) is None:
        state = _first(session, _STATE, connection_id)
        waits = _WAITS.fullmatch(str(state[0])) if state is not None else None
        if waits is None:
            return ""
        lock = f"a {waits[1]}"
        blocker = None if session.is_mariadb else _first(session, _METADATA_LOCKS, connection_id)
    if blocker is None:
        return f"{lock} (see SHOW PROCESSLIST on the secondary)"
    account = _first(session, _ACCOUNT, int(blocker[0]))
    name = f", {account[0]}@{account[1]}" if account is not None else ""
    return f"{lock}, held by connection {blocker[0]}{name}"


def _first(session: Session, sql: str, connection_id: int) -> Row | None:
    try:
        return session.row(sql, connection_id)
    except ServerError as error:
        if error.is_connection_lost:
            raise
        return None
