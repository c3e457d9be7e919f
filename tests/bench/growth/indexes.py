"""Random updates on a table with six indexes that is far larger than the secondary's buffer pool.

The time is that of reading pages from the disk, so seconds are compared: with the server's own replication, whose relay
log is complete already.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tests.bench import replica
from tests.bench.growth.pair import SCHEMA, cost_of_run, numbers, rig_with, single_native
from tests.bench.growth.series import Limit, Series
from tests.bench.native import Native

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.bench.growth.pair import Plan
    from tests.bench.growth.record import Record
    from tests.bench.rig import Rig

_PART, _SMALL, _FULL = "indexes", "60 MB, pool of 6 MB", "810 MB, pool of 32 MB"
_LIMITS = (Limit("times_native", most=1.0),)
SERIES = tuple(Series(_PART, name, "updates", limits=_LIMITS) for name in (_SMALL, _FULL))
_UPDATES = 5000
_INDEXED = "abcdef"
_COLUMNS = ", ".join(f"{column} INT UNSIGNED NOT NULL" for column in _INDEXED)
_TABLE = f"CREATE TABLE line (id INT PRIMARY KEY, {_COLUMNS}, note CHAR(60) NOT NULL)"
_VALUES = ", ".join(f"CRC32(CONCAT(i, '{column}'))" for column in _INDEXED)
_INDEXES = "ALTER TABLE line " + ", ".join(f"ADD INDEX ({column})" for column in _INDEXED)


def run(plan: Plan, record: Record) -> None:
    """Apply the same updates natively with one thread and with four, and by us."""
    count, pool, name = (230_000, "6M", _SMALL) if plan.is_small else (3_100_000, "32M", _FULL)

    def load(session: Session) -> None:
        session.execute(_TABLE)
        source = numbers(session, count)
        session.execute(f"INSERT INTO line {source} SELECT i, {_VALUES}, REPEAT('x', 60) FROM numbers")
        session.execute(_INDEXES)

    with rig_with(plan, load, secondary_options={"innodb-buffer-pool-size": pool}) as rig:
        size = sum(file.stat().st_size for file in (rig.primary.data_path / SCHEMA).glob("line*")) / 1e6
        record.say(f"{_PART}: the table has {size:.0f} MB")
        rig.write(partial(_update, count=count))
        single = _native(rig, single_native(rig))
        parallel = _native(rig, Native(4, "optimistic" if rig.is_mariadb else ""))
        rig.renew_secondary("fast")
        replica.begin_at_start(rig)
        record.measure(_PART, name, _UPDATES, partial(_stream, rig, plan, single, parallel))


def _update(primary: SandboxServer, count: int) -> int:
    chance = Random(3)
    with primary.session(database=SCHEMA) as session:
        for _ in range(_UPDATES):
            values = ", ".join(f"{column} = {chance.randrange(2**32)}" for column in _INDEXED)
            session.execute(f"UPDATE line SET {values} WHERE id = {chance.randrange(count) + 1}")
    return _UPDATES


def _native(rig: Rig, native: Native) -> float:
    rig.renew_secondary("fast")
    native.prepare(rig)
    return native.run(rig).seconds


def _stream(rig: Rig, plan: Plan, single: float, parallel: float) -> dict[str, float]:
    found = cost_of_run(rig, plan, "stream", "--until-caught-up", "--no-transfer")
    return {
        **found,
        "native_seconds": single,
        "parallel_seconds": parallel,
        "times_native": found["seconds"] / parallel,
    }
