"""Generated statements: the router says which tables they change, the primary changes those, the secondary is equal."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.table import TableName
from replica_cli.mysql.errnos import ServerError
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import Dialect
from tests.engine.applier.harness import Harness
from tests.property.statements import Catalog, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

ON_SERVERS = 100
ALONE = 3000


@pytest.fixture
def harness(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Iterator[Harness]:
    made = Harness(primary, secondary, schema)
    yield made
    made.close()


def seeded(*more: str) -> Random:
    seed = os.environ.get("REPLICA_TEST_SEED") or os.urandom(4).hex()  # noqa: TID251  a setting of the tests
    print(f"REPLICA_TEST_SEED={seed}")
    return Random(" ".join((seed, *more)))


def dialect(written: Written, *, is_mariadb: bool) -> Dialect:
    return Dialect(
        is_mariadb=is_mariadb,
        has_ansi_quotes="ANSI" in written.mode,
        has_backslash_escapes="NO_BACKSLASH" not in written.mode,
    )


@pytest.mark.parametrize("is_mariadb", [True, False], ids=["mariadb", "mysql"])
def test_the_router_says_what_was_meant(*, is_mariadb: bool) -> None:
    catalog = Catalog(seeded(), ("one", "2two", "three"), is_mariadb)
    for _ in range(ALONE):
        written = catalog.write()
        how = dialect(written, is_mariadb=is_mariadb)
        parsed = parse_statement(written.text, written.default, how)
        assert frozenset(parsed.tables) == written.tables, written
        assert not parsed.possible_schemas & {"one", "2two", "three"}, written
        # The text that is run names the same tables elsewhere, whatever the default schema is.
        routed = parse_statement(parsed.routed(lambda schema: f"{schema}_r"), "other", how)
        assert [(t.schema, t.table) for t in routed.tables] == [(f"{t.schema}_r", t.table) for t in parsed.tables]


def contents(session: Session, schemas: tuple[str, ...]) -> dict[tuple[int, str], tuple[str, int]]:
    """Return each table's definition and number of rows, by the number of its schema and its name."""
    found = {}
    for number, schema in enumerate(schemas):
        for (table,) in session.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema
        ):
            place = f"`{schema}`.`{table.replace('`', '``')}`"
            ((_, text),) = session.rows(f"SHOW CREATE TABLE {place}")
            ((count,),) = session.rows(f"SELECT COUNT(*) FROM {place}")
            found[number, str(table)] = (text.replace(f"`{schema}`", "``"), count)
    return found


@pytest.mark.parametrize("ending", ["", "_r"], ids=["same", "routed"])
def test_both_sides_are_equal(harness: Harness, ending: str) -> None:
    schemas = tuple(f"{harness.schema}{more}" for more in ("", "_two", "_2three"))
    here = tuple(schema + ending for schema in schemas)
    for session, names in ((harness.source, schemas), (harness.other, here)):
        for name in names:
            session.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
    selection = replace(harness.settings.selection, schemas=tuple(zip(schemas, here, strict=True)))
    harness.settings = replace(harness.settings, selection=selection)
    harness.begin_here()
    catalog = Catalog(seeded(ending), schemas, harness.is_mariadb)
    refused: Counter[int] = Counter()
    before = contents(harness.source, schemas)
    with harness.primary.session() as session:
        for _ in range(ON_SERVERS):
            written = catalog.write()
            session.execute(f"SET SESSION sql_mode = '{written.mode}'")
            session.execute(f"USE `{written.default}`")
            try:
                session.execute(written.text.encode())
            except ServerError as error:
                print(error.errno, written)
                refused[error.errno] += 1
            after = contents(harness.source, schemas)
            changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            assert changed <= {(schemas.index(t.schema), t.table) for t in written.tables}, written
            if harness.is_mariadb and written.text.lstrip("/*!05 ").upper().startswith("RENAME"):
                # MariaDB's may be about a temporary table: the stream asks the primary, which must not have gone on.
                harness.stream()
            before = after
            catalog.tables = {TableName(schemas[number], name) for number, name in after}
    assert refused.total() < ON_SERVERS / 10, refused
    assert 1064 not in refused, "the grammar is the servers'"
    harness.stream()
    assert contents(harness.other, here) == contents(harness.source, schemas)
