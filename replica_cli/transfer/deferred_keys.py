"""Indexes that are made when a table's rows are there: from sorted rows, in one statement, which a stop ends."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.mysql.errnos import ER_DUP_KEYNAME, ServerError
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.transfer.modes import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.transfer.ends import Ends
    from replica_cli.transfer.tables import TableRun

logger = logging.getLogger(__name__)

_KEYS = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s"
_LOOK_SECONDS = 0.2


def add_deferred_keys(
    secondary: Session, ends: Ends, run: TableRun, is_over: Callable[[], bool], *, begins: Callable[[], None]
) -> None:
    """Make the indexes that the table lacks: all where it was left without them, none where they are there.

    `begins` is called if there are any.

    Raises Interrupted where `is_over` came first, LockHeld where another process may write by now, ServerError.
    """
    missing = _missing(secondary, run) if run.source.statements.deferred_keys else []
    if not missing:
        return
    begins()
    with ends.open_altering() as session:
        while missing:
            logger.info("%s: %d indexes are made", run.name, len(missing))
            try:
                with _ended_when(is_over, session, ends):
                    added = ", ".join(f"ADD {clause}" for clause in missing)
                    make(session, f"ALTER TABLE {quote_table(run.target)} {added}", run.target)
            except ServerError as error:
                if is_over():
                    raise Interrupted("stopped while indexes were made") from error
                before, missing = missing, _missing(session, run) if error.errno == ER_DUP_KEYNAME else missing
                # A statement whose connection was cut goes on at the server: it came to its end before ours.
                if missing == before:
                    raise
            else:
                return


def _missing(session: Session, run: TableRun) -> list[str]:
    there = {str(row[0]).lower() for row in session.rows(_KEYS, run.target.schema, run.target.table)}
    return [clause for name, clause in run.source.statements.deferred_keys if name.lower() not in there]


@contextlib.contextmanager
def _ended_when(is_over: Callable[[], bool], session: Session, ends: Ends) -> Iterator[None]:
    """End the session's statement, which may take hours, as soon as nobody waits for it; a resume makes it anew."""
    has_ended = threading.Event()

    def watch() -> None:
        # Again and again: the first time the statement may not have begun.
        while not has_ended.wait(_LOOK_SECONDS):
            if is_over():
                # It may be over because the lock was lost, so nothing asks for that: this ends what is ours alone.
                with contextlib.suppress(ReplicaError), ends.open_unguarded() as other:
                    other.execute(f"KILL QUERY {session.connection_id}")

    watcher = threading.Thread(target=watch, name="deferred keys", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        watcher.join()
