"""The ways to compare all tables of two servers that are measured side by side. Each finds that they are equal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from replica_cli.side_by_side import side_by_side
from replica_cli.sqlbuilder.identifiers import quote
from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.bench.result import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.rig import Rig

CHECKSUM, PT, VERIFY = "CHECKSUM TABLE", "queries of pt-table-checksum", "replica verify run"
# How `replica verify run` chooses the rows of a chunk (replica_cli/verify/walk.py).
_FIRST_ROWS, _LEAST_ROWS, _MOST_ROWS, _CHUNK_SECONDS = 2_000, 100, 100_000, 0.3
_COLUMNS = """SELECT column_name, is_nullable FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""


def tables_of(session: Session, schema: str) -> list[str]:
    """Return the names of the tables of a schema."""
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
    return [str(name) for (name,) in session.rows(sql, schema)]


def checksum_tables(rig: Rig) -> Timing:
    """Let both servers checksum their tables at the same time: nothing that reads all rows is cheaper."""

    def checksums(server: SandboxServer) -> list[tuple[object, ...]]:
        with server.session(database=rig.schema) as session:
            names = ", ".join(map(quote, tables_of(session, rig.schema)))
            return session.rows(f"CHECKSUM TABLE {names} EXTENDED")

    started = time.monotonic()
    own, others = side_by_side(lambda: checksums(rig.primary), lambda: checksums(rig.secondary))
    if own != others:
        raise RunFailed(f"checksums differ: {own}, {others}")
    return Timing(time.monotonic() - started)


def checksum_chunks(rig: Rig) -> Timing:
    """Compare chunk by chunk as pt-table-checksum does: the primary's query first, then it runs on the secondary."""
    started = time.monotonic()
    with (
        rig.primary.session(database=rig.schema) as primary,
        rig.secondary.session(database=rig.schema) as secondary,
    ):
        for session in (primary, secondary):
            session.execute("SET NAMES utf8mb4")
        for table in tables_of(primary, rig.schema):
            _compare_table(primary, secondary, rig.schema, table)
    return Timing(time.monotonic() - started)


def verify_run(rig: Rig) -> Timing:
    """Run the command with its defaults; its start is part of the time."""
    return replica.start(rig, "verify", "run").wait()


WAYS: Mapping[str, Callable[[Rig], Timing]] = {
    CHECKSUM: checksum_tables,
    PT: checksum_chunks,
    VERIFY: verify_run,
}


def chunk_query(columns: Sequence[tuple[str, bool]], source: str, condition: str) -> str:
    """Return the query for the number of rows and one checksum. `columns`: names, and if they may be NULL."""
    values = [quote(name) for name, _ in columns]
    nulls = [f"ISNULL({quote(name)})" for name, is_nullable in columns if is_nullable]
    if nulls:
        values.append(f"CONCAT({', '.join(nulls)})")
    row = f"CAST(CRC32(CONCAT_WS('#', {', '.join(values)})) AS UNSIGNED)"
    return (
        f"SELECT COUNT(*), COALESCE(LOWER(CONV(BIT_XOR({row}), 10, 16)), 0) FROM {source} FORCE INDEX (`PRIMARY`)"
        f" WHERE {condition}"
    )


def _compare_table(primary: Session, secondary: Session, schema: str, table: str) -> None:
    """Compare a table along its key, a column `id` of whole numbers."""
    columns = [(str(name), is_nullable == "YES") for name, is_nullable in primary.rows(_COLUMNS, schema, table)]
    source, rows, condition = quote(table), _FIRST_ROWS, "1=1"
    while condition:
        started = time.monotonic()
        # The last row of this chunk, and the first one of the next.
        bounds = primary.rows(
            f"SELECT id FROM {source} FORCE INDEX (`PRIMARY`) WHERE {condition} ORDER BY id LIMIT {rows - 1}, 2"
        )
        chunk = f"{condition} AND id <= {bounds[0][0]}" if bounds else condition
        query = chunk_query(columns, source, chunk)
        own = primary.rows(query)
        # The two servers of `replica verify run` work at the same time, so only one of them counts.
        seconds = max(time.monotonic() - started, 0.001)
        others = secondary.rows(query)
        if own != others:
            raise RunFailed(f"{table} differs where {chunk}: {own}, {others}")
        condition = f"id >= {bounds[1][0]}" if len(bounds) > 1 else ""
        rows = max(_LEAST_ROWS, min(_MOST_ROWS, int(rows * min(2.0, max(0.5, _CHUNK_SECONDS / seconds)))))
