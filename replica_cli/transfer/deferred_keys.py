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
from replica_cli.transfer.tables import KeysMade

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Connections
    from replica_cli.transfer.tables import TableRun
    from replica_cli.transfer.waiting import LockWaits

logger = logging.getLogger(__name__)

_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"


def add_deferred_keys(
    connections: Connections, run: TableRun, waits: LockWaits, *, on_begin: Callable[[], None]
) -> None:
    """Build the indexes that the table lacks; do nothing if it has all of them.

    `on_begin` is called before the work if there are any.

    Raises:
        Interrupted: a stop was asked for.
        LockWait: the statement waited too long for a table lock.
        LockHeld: another process may write to the secondary by now.
        ServerError: the secondary refuses the statement or does not answer.
    """
    if not run.source.statements.deferred_keys or run.keys is KeysMade.ALL:
        return
    lacks_all = run.keys is KeysMade.WITHOUT_DEFERRED
    missing = _deferred(run) if lacks_all else _missing(connections.secondary, run)
    if not missing:
        return
    on_begin()
    session = connections.altering
    connections.endpoints.guard(session)
    while missing:
        log(
            logger, logging.INFO, Tag.INFO, "%s: builds %d %s", run.name, len(missing),
            "index" if len(missing) == 1 else "indexes", instance=session.server.name,
        )  # fmt: skip
        try:
            added = ", ".join(f"ADD {clause}" for clause in missing)
            statement = f"ALTER TABLE {quote_table(run.target)} {added}"
            waits.run(session, run.name, partial(make, session, statement, run.target))
        except ServerError as error:
            before, missing = missing, _missing(session, run) if error.errno == ER_DUP_KEYNAME else missing
            # After a cut connection the server may still finish the statement of the earlier attempt. Then some indexes
            # exist, and the next attempt builds only those that are still missing.
            if missing == before:
                raise
        else:
            return


def _deferred(run: TableRun) -> list[str]:
    return [clause for _, clause in run.source.statements.deferred_keys]


def _missing(session: Session, run: TableRun) -> list[str]:
    existing = {str(row[0]).lower() for row in session.rows(_KEYS, run.target.schema, run.target.table)}
    return [clause for name, clause in run.source.statements.deferred_keys if name.lower() not in existing]
