"""Build the indexes of a table after its rows are copied.

One ALTER TABLE builds them from sorted rows. A stop ends that statement.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_DUP_KEYNAME, ServerError
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.transfer.modes import make
from replica_cli.transfer.table_copy import KeysMade

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.table_copy import TableCopy
    from replica_cli.transfer.waiting import LockWaits

logger = logging.getLogger(__name__)

_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"


def add_deferred_keys(
    connections: Connections, table: TableCopy, waits: LockWaits, *, on_begin: Callable[[], None]
) -> None:
    """Build the indexes that the table lacks; do nothing if it has all of them.

    `on_begin` is called before the work if there are any.

    Raises:
        Interrupted: a stop was asked for.
        LockWait: the statement waited too long for a table lock.
        LockHeld: another process may write to the secondary by now.
        ServerError: the secondary refuses the statement or does not answer.
    """
    if not table.definition.statements.deferred_keys or table.keys is KeysMade.ALL:
        return
    lacks_all = table.keys is KeysMade.WITHOUT_DEFERRED
    missing = _deferred(table) if lacks_all else _missing(connections.secondary, table)
    if not missing:
        return
    on_begin()
    session = connections.altering
    connections.endpoints.guard(session)
    while missing:
        log(
            logger, logging.INFO, Tag.INFO, "%s: builds %d %s", table.name, len(missing),
            "index" if len(missing) == 1 else "indexes", instance=session.server.name,
        )  # fmt: skip
        try:
            added = ", ".join(f"ADD {clause}" for clause in missing)
            statement = f"ALTER TABLE {quote_table(table.target)} {added}"
            waits.run(session, table.name, partial(make, session, statement, table.target))
        except ServerError as error:
            before, missing = missing, _missing(session, table) if error.errno == ER_DUP_KEYNAME else missing
            # After a cut connection the server may still finish the statement of the earlier attempt. Then some indexes
            # exist, and the next attempt builds only those that are still missing.
            if missing == before:
                raise
        else:
            return


def _deferred(table: TableCopy) -> list[str]:
    return [clause for _, clause in table.definition.statements.deferred_keys]


def _missing(session: Session, table: TableCopy) -> list[str]:
    existing = {str(row[0]).lower() for row in session.rows(_KEYS, table.target.schema, table.target.table)}
    return [clause for name, clause in table.definition.statements.deferred_keys if name.lower() not in existing]
