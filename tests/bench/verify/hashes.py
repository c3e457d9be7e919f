"""What a server computes with to hash its rows: the CPU of several queries that could do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.sandbox import Sandbox
from replica_cli.sqlbuilder.identifiers import quote_table
from tests.bench import bulk, sysbench
from tests.bench.bulk import Bulk
from tests.bench.failure import Missing, RunFailed
from tests.bench.proc import cpu_seconds
from tests.bench.result import Run
from tests.bench.rig import Rig
from tests.bench.sysbench import Sysbench
from tests.bench.verify.costs import DURABILITY
from tests.bench.verify.expressions import DERIVED, SUMMED, hashed_table, queries
from tests.bench.verify.record import HashCost
from tests.bench.verify.ways import CHECKSUM, PT

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.bench.race import Data
    from tests.bench.verify.expressions import Query
    from tests.bench.verify.record import Plan, Record

# Like the largest chunks of a comparison. A GROUP_CONCAT has to keep this number of hashes.
_CHUNK_ROWS = 100_000
_GROUP_BYTES = 32 * _CHUNK_ROWS


@dataclass(frozen=True, slots=True)
class _Table:
    """A table with the key `id`, whose numbers begin with 1, and what makes it."""

    name: str
    schema: str
    rows: int
    data: Data


def run(plan: Plan, record: Record) -> None:
    """Let one server of each flavour run each query over all rows of a table, in turn."""
    rows, few = 700_000 // plan.divisor, 400_000 // plan.divisor
    tables = (
        _Table("bulk", bulk.SCHEMA, rows, Bulk(rows, is_loaded=True)),
        _Table("oltp", sysbench.SCHEMA, few, Sysbench(few, transactions=0, tables=1)),
    )
    for binary in plan.binaries:
        for table in tables:
            work = f"{binary.flavour} {table.name}"
            try:
                _measure(plan, record, work, binary, table)
            except Missing as error:
                record.book.lacks(f"{work}: {error}")
            except (RunFailed, ReplicaError) as error:
                record.book.add(Run(work, DURABILITY, "queries", 0, problem=str(error)))


def _measure(plan: Plan, record: Record, work: str, binary: ServerBinary, table: _Table) -> None:
    record.book.say(f"{work}: loading on {binary}")
    with Sandbox() as sandbox:
        rig = Rig(sandbox, binary, table.schema, has_secondary_log=True)
        rig.load(table.data.load)
        with rig.primary.session(database=table.schema) as session:
            session.execute(f"SET SESSION group_concat_max_len = {_GROUP_BYTES}")
            hashed = hashed_table(session, table.schema)
            found = queries(hashed, is_mariadb=rig.is_mariadb)
            answers = {name: _answers(session, name, query, table.rows) for name, query in found.items()}
            if answers[DERIVED] != answers[SUMMED]:
                raise RunFailed("the derived table has other sums")
            checksum = f"CHECKSUM TABLE {quote_table(hashed.name)} EXTENDED"
            taken: dict[str, list[float]] = {name: [] for name in (CHECKSUM, *found)}
            for _ in range(plan.rounds):
                for name, seconds in taken.items():
                    before = cpu_seconds(rig.primary.pid)
                    if name == CHECKSUM:
                        session.rows(checksum)
                    else:
                        _answers(session, name, found[name], table.rows)
                    seconds.append(cpu_seconds(rig.primary.pid) - before)
        for name, seconds in taken.items():
            record.hashes.append(HashCost(work, name, table.rows, tuple(seconds)))
            record.book.say(f"{work}: {record.hashes[-1].microseconds:.2f} us for a row: {name}")


def _answers(session: Session, name: str, query: Query, rows: int) -> list[list[str | None]]:
    # A comparison reads bytes; the other tool reads text.
    session.execute("SET NAMES utf8mb4" if name == PT else "SET NAMES binary")
    starts = range(0, rows, _CHUNK_ROWS)
    return [row for low in starts for row in session.texts(query(f"id > {low} AND id <= {low + _CHUNK_ROWS}"))]
