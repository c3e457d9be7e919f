"""Rows as the server wrote them, of every length for which the protocol has a form of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

_PACKET = 0xFFFFFF
# A row holds the text, its length, and two bytes of flags.
LENGTHS = [0, 1, 250, 251, 252, 65_535, 65_536, 262_144, _PACKET - 7, _PACKET - 6, _PACKET - 5, _PACKET, _PACKET + 1,
           2 * _PACKET - 11, 2 * _PACKET, 40_000_000]  # fmt: skip


@pytest.fixture
def session(primary: SandboxServer) -> Iterator[Session]:
    with primary.session() as admin:
        before = admin.rows("SELECT @@GLOBAL.max_allowed_packet")[0][0]
        admin.execute(f"SET GLOBAL max_allowed_packet = {64 << 20}")
        with primary.session() as found:
            yield found
        admin.execute(f"SET GLOBAL max_allowed_packet = {before}")


@pytest.mark.parametrize("length", LENGTHS)
def test_a_text_of_any_length_among_others(session: Session, length: int) -> None:
    sql = (
        f"SELECT 'first', 0 UNION ALL SELECT REPEAT('x', {length}), 1 UNION ALL SELECT NULL, 0 UNION ALL SELECT 'l', 0"
    )
    found = list(session.lines(sql))
    texts = [text for lines in found for text in lines.texts]
    assert [texts[0], *texts[2:]] == [b"first", None, b"l"]
    assert texts[1] is not None
    assert (len(texts[1]), texts[1].strip(b"x")) == (length, b"")
    assert any(lines.is_flagged for lines in found)
    # The session goes on.
    assert session.row("SELECT 7") == (7,)


def test_many_rows_and_none(session: Session) -> None:
    numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT"
    lines = list(session.lines(f"{numbers} CONCAT(a.i, '-', b.i), 0 FROM n a, n b WHERE b.i < 200 ORDER BY a.i, b.i"))
    texts = [text for found in lines for text in found.texts]
    assert texts == [b"%d-%d" % (a, b) for a in range(1, 901) for b in range(1, 200)]
    assert not any(found.is_flagged for found in lines)
    assert [found.texts for found in session.lines("SELECT 'x', 0 FROM DUAL WHERE 1 = 0")] == [[]]


def test_errors_before_and_among_the_rows(session: Session) -> None:
    with pytest.raises(ServerError) as raised:
        list(session.lines("SELECT nothing, 0 FROM mysql.nowhere"))
    assert raised.value.errno == 1146
    numbers = "SELECT REPEAT('y', 1000), 0 FROM information_schema.columns"
    with pytest.raises(ServerError) as raised:
        list(session.lines(f"{numbers} UNION ALL SELECT (SELECT table_name FROM information_schema.tables), 0"))
    assert raised.value.errno == 1242
    assert session.row("SELECT 7") == (7,)


def test_a_reading_that_is_given_up_leaves_no_rows_for_the_next_query(session: Session) -> None:
    reading = session.lines("SELECT REPEAT('z', 100000), 0 FROM information_schema.columns LIMIT 500")
    assert next(reading).texts
    reading.close()  # type: ignore[attr-defined]
    with pytest.raises(ServerError) as raised:
        session.row("SELECT 7")
    assert raised.value.is_connection_lost


@pytest.mark.parametrize("length", [0, 1, 250, 251, 252, 65_535, 65_536, 300_000, 15_000_000])
def test_texts_of_any_length(session: Session, length: int) -> None:
    sql = f"SELECT 'ä', REPEAT('x', {length}), NULL, 17 UNION ALL SELECT '', NULL, 'b', NULL"
    assert session.texts(sql) == [["ä", "x" * length, None, "17"], ["", None, "b", None]]
    assert session.row("SELECT 7") == (7,)


def test_texts_are_the_rows_that_the_driver_reads(session: Session) -> None:
    for sql in (
        "SHOW GLOBAL VARIABLES",
        "SELECT * FROM information_schema.collations",
        "SELECT 1 FROM DUAL WHERE 1 = 0",
    ):
        rows = [[None if value is None else str(value) for value in row] for row in session.rows(sql)]
        texts = session.texts(sql)
        # Some variables count, and are others a moment later.
        assert len(texts) == len(rows)
        assert sum(text != row for text, row in zip(texts, rows, strict=True)) < 20


def test_errors_of_texts_before_and_among_the_rows(session: Session) -> None:
    with pytest.raises(ServerError) as raised:
        session.texts("SELECT nothing FROM mysql.nowhere")
    assert raised.value.errno == 1146
    with pytest.raises(ServerError) as raised:
        session.texts("SELECT 1 UNION ALL SELECT (SELECT table_name FROM information_schema.tables)")
    assert raised.value.errno == 1242
    assert session.row("SELECT 7") == (7,)
