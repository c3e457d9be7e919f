"""What a server computes with to hash its rows: the CPU of several queries that could do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.sandbox import Sandbox
from tests.bench import bulk
from tests.bench.bulk import Bulk
from tests.bench.failure import RunFailed
from tests.bench.proc import cpu_seconds
from tests.bench.result import Run
from tests.bench.rig import Rig
from tests.bench.verify.costs import DURABILITY
from tests.bench.verify.expressions import DERIVED, PRESENT, hashed_table, queries
from tests.bench.verify.record import HashCost
from tests.bench.verify.ways import CHECKSUM, PT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.bench.verify.expressions import Query
    from tests.bench.verify.record import Plan, Record

# Like the largest chunks of a comparison. A GROUP_CONCAT has to keep this number of hashes.
_CHUNK_ROWS = 100_000
_GROUP_BYTES = 32 * _CHUNK_ROWS


def run(plan: Plan, record: Record) -> None:
    """Let one server of each flavour run each query over all rows, in turn."""
    for binary in plan.binaries:
        try:
            _measure(plan, record, binary)
        except (RunFailed, ReplicaError) as error:
            record.book.add(Run(f"{binary.flavour} hashes", DURABILITY, "queries", 0, problem=str(error)))


def _measure(plan: Plan, record: Record, binary: ServerBinary) -> None:
    rows = 700_000 // plan.divisor
    record.book.say(f"{binary.flavour} hashes: loading on {binary}")
    with Sandbox() as sandbox:
        rig = Rig(sandbox, binary, bulk.SCHEMA, has_secondary_log=True)
        rig.load(Bulk(rows, is_loaded=True).load)
        with rig.primary.session(database=bulk.SCHEMA) as session:
            session.execute(f"SET SESSION group_concat_max_len = {_GROUP_BYTES}")
            table = hashed_table(session, bulk.SCHEMA)
            found = queries(table, is_mariadb=rig.is_mariadb)
            answers = {name: _answers(session, name, query, rows) for name, query in found.items()}
            if answers[DERIVED] != answers[PRESENT]:
                raise RunFailed("the derived table has other sums")
            for name, seconds in _rounds(session, rig.primary.pid, found, rows, plan.rounds).items():
                record.hashes.append(HashCost(str(binary.flavour), name, rows, tuple(seconds)))
                record.book.say(f"{binary.flavour} hashes: {record.hashes[-1].microseconds:.2f} us for a row: {name}")


def _rounds(session: Session, pid: int, found: Mapping[str, Query], rows: int, rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in (CHECKSUM, *found)}
    for _ in range(rounds):
        for name, taken in seconds.items():
            before = cpu_seconds(pid)
            if name == CHECKSUM:
                session.rows(f"CHECKSUM TABLE {bulk.SCHEMA}.line EXTENDED")
            else:
                _answers(session, name, found[name], rows)
            taken.append(cpu_seconds(pid) - before)
    return seconds


def _answers(session: Session, name: str, query: Query, rows: int) -> list[list[str | None]]:
    # A comparison reads bytes; the other tool reads text.
    session.execute("SET NAMES utf8mb4" if name == PT else "SET NAMES binary")
    starts = range(0, rows, _CHUNK_ROWS)
    return [row for low in starts for row in session.texts(query(f"id > {low} AND id <= {low + _CHUNK_ROWS}"))]
