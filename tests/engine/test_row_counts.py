"""The copy gets all rows of a table, or it stops, whatever shortens the primary's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.progress import RangeProgress
from replica_cli.core.settings import Network
from replica_cli.core.table import TableName
from replica_cli.mysql.catalog.table_definitions import read_table
from replica_cli.mysql.row_lines import Lines
from replica_cli.mysql.session import Session, connect
from replica_cli.sqlbuilder.rows.chunks import paging_key
from replica_cli.transfer.connections import Endpoints
from replica_cli.transfer.errors import ChunkBroken
from replica_cli.transfer.rows.reading import RangeReader, whole_table
from tests.engine.copier import Copier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row
    from replica_cli.sandbox.server import SandboxServer
    from replica_cli.transfer.rows.chunk import Chunk

ROWS = 50


@pytest.fixture
def definition(primary: SandboxServer, schema: str) -> TableDefinition:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE `{schema}`")
        session.execute(f"CREATE TABLE `{schema}`.t (id INT PRIMARY KEY, v TEXT)")
        values = ", ".join(f"({n}, REPEAT('v', {n}))" for n in range(ROWS))
        session.execute(f"INSERT INTO `{schema}`.t VALUES {values}")
    with connect(primary.address(), Network()) as session:
        found = read_table(session, TableName(schema, "t"))
    assert found is not None
    return found


@pytest.fixture
def reader(primary: SandboxServer, schema: str) -> Iterator[Session]:  # noqa: ARG001 - closed before the schema goes
    address = primary.address()
    with Endpoints(address, address, Network(), 1 << 20, lambda _: None).open_reader() as session:
        yield session


def chunks(reader: Session, definition: TableDefinition, chunk_rows: int, *, in_snapshot: bool) -> list[Chunk]:
    key = paging_key(definition)
    assert key is not None
    paging = RangeReader(
        reader, definition, key, chunk_rows=chunk_rows, packet_limit=1 << 20, in_snapshot=in_snapshot
    )  # fmt: skip
    return list(paging.chunks(RangeProgress(1)))


def limit_answers(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Cut an answer after a number of rows, like a proxy or a plugin that limits answers."""
    read = Session.lines

    def limited(session: Session, sql: str) -> Iterator[Lines]:
        left = rows
        for found in read(session, sql):
            yield Lines(found.texts[:left], found.is_flagged)
            left -= len(found.texts[:left])

    monkeypatch.setattr(Session, "lines", limited)


@pytest.mark.parametrize("in_snapshot", [True, False])
@pytest.mark.parametrize("chunk_rows", [1, 20, 50, 51, 1000])
def test_answers_that_something_shortens_do_not_end_a_range(
    reader: Session,
    definition: TableDefinition,
    monkeypatch: pytest.MonkeyPatch,
    chunk_rows: int,
    *,
    in_snapshot: bool,
) -> None:
    if in_snapshot:
        reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    found = chunks(reader, definition, chunk_rows, in_snapshot=in_snapshot)
    assert sum(c.row_count for c in found) == ROWS
    assert found[-1].is_last
    limit_answers(monkeypatch, 3)
    found = chunks(reader, definition, chunk_rows, in_snapshot=in_snapshot)
    assert sum(c.row_count for c in found) == ROWS
    assert max(c.row_count for c in found) == 3
    limit_answers(monkeypatch, 0)
    with pytest.raises(ChunkBroken, match="counts 1 row in a part of the table and sent 0"):
        chunks(reader, definition, chunk_rows, in_snapshot=in_snapshot)


def test_a_row_after_the_last_one_is_read_too(
    primary: SandboxServer, reader: Session, definition: TableDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, new = Session.row, [ROWS + 1, ROWS + 2]

    def row(session: Session, sql: str) -> Row | None:
        if new and session is reader:
            with primary.session() as other:
                other.execute(f"INSERT INTO `{definition.name.schema}`.t VALUES ({new.pop(0)}, 'new')")
        return ask(session, sql)

    monkeypatch.setattr(Session, "row", row)
    found = chunks(reader, definition, ROWS + 10, in_snapshot=False)
    assert [c.row_count for c in found] == [ROWS, 1, 1]
    assert found[-1].is_last


def test_no_transaction_is_open_while_a_chunk_waits(
    primary: SandboxServer, reader: Session, definition: TableDefinition
) -> None:
    key = paging_key(definition)
    assert key is not None
    reading = RangeReader(reader, definition, key, chunk_rows=10, packet_limit=1 << 20).chunks(RangeProgress(1))
    assert next(reading).row_count == 10
    with primary.session() as session:
        # Else a DDL of the primary would wait for as long as the secondary takes.
        session.execute("SET SESSION lock_wait_timeout = 1")
        session.execute(f"ALTER TABLE `{definition.name.schema}`.t COMMENT 'altered'")


def test_a_whole_table_has_all_of_its_rows_or_is_refused(reader: Session, definition: TableDefinition) -> None:
    reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    found = list(whole_table(reader, definition, packet_limit=1 << 20))
    assert sum(c.row_count for c in found) == ROWS
    reader.execute("SET SESSION sql_select_limit = 3")
    with pytest.raises(ChunkBroken, match="counts 50 rows in a part of the table and sent 3"):
        list(whole_table(reader, definition, packet_limit=1 << 20))


def test_the_end_of_an_answer_may_be_lines_without_rows(
    reader: Session, definition: TableDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Session.lines

    def alone(session: Session, sql: str) -> Iterator[Lines]:
        yield from read(session, sql)
        yield Lines()

    monkeypatch.setattr(Session, "lines", alone)
    reader.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    assert sum(c.row_count for c in whole_table(reader, definition, packet_limit=1 << 20)) == ROWS


@pytest.mark.parametrize("engine", ["InnoDB", "MyISAM"])
def test_numbers_that_are_wider_than_their_columns_say(
    primary: SandboxServer, secondary: SandboxServer, schema: str, engine: str
) -> None:
    copier = Copier(primary, secondary, schema)
    columns = "a INT(1) NOT NULL, b BIGINT(2) UNSIGNED NOT NULL"
    copier.on_primary(
        f"CREATE TABLE t ({columns}) ENGINE={engine}",
        "INSERT INTO t VALUES (1, 2), (-2147483648, 18446744073709551615), (3, 4), (-2147483648, 18446744073709551615)",
        f"CREATE TABLE one ({columns}) ENGINE={engine}",
        "INSERT INTO one VALUES (-2147483648, 18446744073709551615)",
    )
    copier.copy()
    copier.compare()
