"""Keep the version of a state schema, and bring a schema of an older version to this one.

The version says what the state tables mean. It is in the table `state_version`; a schema without that table is of
version 1. A migration changes a schema from one version to the next. It is a list of statements that can be repeated:
DDL commits at once, so after a kill the whole list runs again, and the new version is written last. Migrations need no
other privileges than those that `replica` asks for on the state schema: they create tables and copy rows, and alter or
drop nothing.

While a migration changes what a release of an older version reads or writes, no process writes to any instance of the
schema: the migration holds the writer's lock of each of them.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from replica_cli.checkpoint import migration_3
from replica_cli.checkpoint.lock import WriterLock, migration_lock_name
from replica_cli.core.errors import OlderWriter, StateBroken, StateTooNew
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)

VERSION = 3
# In one row: which process wrote it does not matter, as all instances share the tables.
STATE_VERSION = """
    id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
    version INT UNSIGNED NOT NULL,
    written_at DATETIME(6) NOT NULL
"""
_LOCK_SECONDS = 60
# How long a migration waits for the writer's locks: the server notices that a process was killed when its running
# statement ends.
_WRITERS_SECONDS = 10.0


def _from_1(_: Session, __: str) -> Sequence[str]:
    """Return nothing: version 2 only adds `state_version`, which is created with all missing tables."""
    return ()


def _from_2(session: Session, state_schema: str) -> Sequence[str]:
    """Return the statements that move the states of tables to `table_state`; none for a schema that is new."""
    return migration_3.statements(state_schema) if migration_3.has_former_table(session, state_schema) else ()


# By the version that they start from. Each returns its statements for a state schema, all of whose tables exist.
MIGRATIONS: Mapping[int, Callable[[Session, str], Sequence[str]]] = {1: _from_1, 2: _from_2}


def read_version(session: Session, state_schema: str) -> int:
    """Return the version of a state schema that has tables.

    Raises:
        StateTooNew: a later version of replica made the schema.
        ServerError: the query failed.

    """
    try:
        row = session.row(f"SELECT version FROM {quote(state_schema)}.state_version WHERE id = 1")
    except ServerError as error:
        if error.errno != ER_NO_SUCH_TABLE:
            raise
        return 1
    # The row is missing if a process was killed after it had created the table. Migrations can be repeated.
    version = int(row[0]) if row is not None else 1
    if version > VERSION:
        raise StateTooNew(
            f"{session.server.name}: the state schema {quote(state_schema)} has version {version}, and this replica "
            f"knows versions up to {VERSION}",
            hint="run the release of replica that used it last, or a later one",
        )
    return version


def migrate(session: Session, state_schema: str) -> None:
    """Bring a state schema whose tables all exist to this version. Does nothing if it has this version.

    Safe if the process is killed, and if several processes start at the same time.

    Raises:
        OlderWriter: a process writes that may be of an older release.
        StateBroken: another process has been migrating the schema for a minute.
        StateTooNew: a later version of replica made the schema.
        ServerError: a statement failed.

    """
    if read_version(session, state_schema) == VERSION:
        return
    with _locked(session, state_schema):
        for version in range(read_version(session, state_schema), VERSION):
            statements = MIGRATIONS[version](session, state_schema)
            with _no_writers(session, state_schema) if statements else nullcontext():
                for statement in statements:
                    session.execute(statement)
                session.execute(version_statement(state_schema, version + 1))
            if statements:
                log(
                    logger, logging.INFO, Tag.INFO, "the state schema %s is upgraded to version %d",
                    quote(state_schema), version + 1, instance=session.server.name,
                )  # fmt: skip


def version_statement(state_schema: str, version: int = VERSION) -> str:
    """Return the statement that writes the version of a state schema."""
    return f"REPLACE INTO {quote(state_schema)}.state_version VALUES (1, {version}, UTC_TIMESTAMP(6))"


@contextmanager
def _locked(session: Session, state_schema: str) -> Iterator[None]:
    name = migration_lock_name(state_schema)
    row = session.row("SELECT GET_LOCK(%s, %s)", name, _LOCK_SECONDS)
    if not row or row[0] != 1:
        raise StateBroken(
            f"{session.server.name}: another process is migrating the state schema {quote(state_schema)}",
            hint="wait until it has ended, then try again",
        )
    try:
        yield
    finally:
        session.row("SELECT RELEASE_LOCK(%s)", name)


@contextmanager
def _no_writers(session: Session, state_schema: str) -> Iterator[None]:
    """Hold the writer's lock of each instance of the schema. Raises OlderWriter if another process holds one."""
    deadline = time.monotonic() + _WRITERS_SECONDS
    with ExitStack() as stack:
        for instance in sorted({*_instances(session, state_schema), session.server.name}):
            lock = WriterLock(session, state_schema, instance)
            if not lock.try_acquire(max(0.0, deadline - time.monotonic())):
                raise OlderWriter(
                    f"{lock.refusal().message}; it may be of an older release, and this release must first upgrade "
                    f"the state schema {quote(state_schema)}",
                    hint=f"stop each process that writes to {instance} (SIGTERM: it commits what it has read), then "
                    "start it again with this release",
                )
            stack.callback(lock.release)
        yield


def _instances(session: Session, state_schema: str) -> list[str]:
    tables = ("binlog_position", "stream_status", migration_3.FORMER_TABLE)
    queries = (f"SELECT instance FROM {quote(state_schema)}.{table}" for table in tables)
    return [str(name) for (name,) in session.rows(" UNION ".join(queries))]
