"""Keep the version of a state schema, and bring a schema of an older version to this one.

The version says what the state tables mean. It is in the table `state_version`; a schema without that table is of
version 1. A migration changes a schema from one version to the next. It is a list of statements that can be repeated:
DDL commits at once, so after a kill the whole list runs again, and the new version is written last. Migrations need no
other privileges than those that `replica` asks for on the state schema: they create tables and copy rows, and alter or
drop nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from replica_cli.checkpoint.lock import migration_lock_name
from replica_cli.core.errors import StateBroken, StateTooNew
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from replica_cli.mysql.session import Session

VERSION = 2
# In one row: which process wrote it does not matter, as all instances share the tables.
STATE_VERSION = """
    id TINYINT UNSIGNED NOT NULL PRIMARY KEY,
    version INT UNSIGNED NOT NULL,
    written_at DATETIME(6) NOT NULL
"""
_LOCK_SECONDS = 60


def _from_1(_: str) -> Sequence[str]:
    """Return nothing: version 2 only adds `state_version`, which is created with all missing tables."""
    return ()


# By the version that they start from. Each returns its statements for a state schema, given by its quoted name.
MIGRATIONS: Mapping[int, Callable[[str], Sequence[str]]] = {1: _from_1}


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
        StateBroken: another process has been migrating the schema for a minute.
        StateTooNew: a later version of replica made the schema.
        ServerError: a statement failed.

    """
    if read_version(session, state_schema) == VERSION:
        return
    with _locked(session, state_schema):
        for version in range(read_version(session, state_schema), VERSION):
            for statement in MIGRATIONS[version](quote(state_schema)):
                session.execute(statement)
            session.execute(version_statement(state_schema, version + 1))


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
