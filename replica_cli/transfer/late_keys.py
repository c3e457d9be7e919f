"""Indexes that are made when a table's rows are there: from sorted rows, in one statement, which a stop ends."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.identifiers import quote_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.ends import Ends
    from replica_cli.transfer.tables import TableRun

logger = logging.getLogger(__name__)

_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"
_LOOK_SECONDS = 0.2


def add_late_keys(secondary: Session, ends: Ends, run: TableRun, stop: StopToken) -> None:
    """Make the indexes that the table lacks: all where it was made without them, none where a resume finds them.

    Raises Interrupted where a stop came first, ServerError.
    """
    late = run.source.statements.late_keys
    if not late:
        return
    there = {str(row[0]).lower() for row in secondary.rows(_KEYS, run.target.schema, run.target.table)}
    missing = [clause for name, clause in late if name.lower() not in there]
    if not missing:
        return
    logger.info("%s: %d indexes are made", run.name, len(missing))
    try:
        with _ended_by(stop, secondary, ends):
            secondary.execute(f"ALTER TABLE {quote_table(run.target)} " + ", ".join(f"ADD {c}" for c in missing))
    except ServerError as error:
        if stop.is_set:
            raise Interrupted("stopped while indexes were made") from error
        raise


@contextlib.contextmanager
def _ended_by(stop: StopToken, session: Session, ends: Ends) -> Iterator[None]:
    """Let a stop end the session's statement: it may take an hour, and nothing of it is lost that is not made anew."""
    over = threading.Event()

    def watch() -> None:
        # Again and again: the first time the statement may not have begun.
        while not over.wait(_LOOK_SECONDS):
            if stop.is_set:
                with contextlib.suppress(ReplicaError), ends.open_secondary() as other:
                    other.execute(f"KILL QUERY {session.connection_id}")

    watcher = threading.Thread(target=watch, name="late keys", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
