"""XA transactions under load, with kills of ours between PREPARE and COMMIT."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest
from fix_replica import Load, wait_until

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fix_replica import Replica

    from replica_cli.mysql.session import Session

KEYS = 40
UNKNOWN_XID = 1397


class Branches:
    """Prepares transactions, writes others between, and completes them later; up to four are open at a time."""

    def __init__(self, replica: Replica) -> None:
        self._primary, self._schema = replica.primary, replica.schema
        self._chance = random.Random(7)
        self._numbers = itertools.count(1)
        self._free = set(range(KEYS))
        self._open: list[tuple[str, int]] = []
        self.completed = 0
        replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", f"INSERT INTO t VALUES {_rows()}")

    def __call__(self, session: Session) -> None:
        if len(self._open) == 4 or (self._open and self._chance.random() < 0.4):
            self.complete(session, self._chance.choice(self._open))
        else:
            key, xid = self._chance.choice(sorted(self._free)), f"'x{next(self._numbers)}'"
            self._free.discard(key)
            change = self._chance.choice(
                (f"UPDATE t SET v = v + 1 WHERE id = {key}", f"DELETE FROM t WHERE id = {key}")
            )
            rows = f"REPLACE INTO t VALUES ({key}, 0)"
            # A session that has prepared one can do nothing else on MariaDB: each has its own, and leaves.
            with self._primary.session(database=self._schema) as own:
                for words in (f"XA START {xid}", rows, change, f"XA END {xid}", f"XA PREPARE {xid}"):
                    own.execute(words)
            self._open.append((xid, key))
        key = self._chance.choice(sorted(self._free))
        session.execute(f"INSERT INTO t VALUES ({key}, 1) ON DUPLICATE KEY UPDATE v = v + 1")

    def complete(self, session: Session, branch: tuple[str, int]) -> None:
        words = f"XA {self._chance.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} {branch[0]}"
        wait_until(lambda: _is_done(session, words), words)
        self._open.remove(branch)
        self._free.add(branch[1])
        self.completed += 1

    def complete_all(self, session: Session) -> None:
        for branch in tuple(self._open):
            self.complete(session, branch)


def _is_done(session: Session, words: str) -> bool:
    try:
        session.execute(words)
    except ServerError as error:
        if error.errno != UNKNOWN_XID:  # whoever prepared it has not left yet
            raise
        return False
    return True


def _rows() -> str:
    return ", ".join(f"({key}, 0)" for key in range(0, KEYS, 2))


@pytest.fixture
def branches(replica: Replica) -> Iterator[Branches]:
    made = Branches(replica)
    yield made
    with replica.primary.session(database=replica.schema) as session:
        made.complete_all(session)


@pytest.mark.every_server
def test_killed_between_prepare_and_commit_nothing_is_lost(replica: Replica, branches: Branches) -> None:
    replica.run("transfer")
    load = Load(replica.primary, replica.schema, branches)
    try:
        for number in range(5):
            running = replica.stream()
            place, completed = replica.saved(), branches.completed
            wait_until(
                lambda c=completed, p=place: branches.completed > c + 2 and replica.saved() > p, f"round {number}"
            )
            running.kill_all()
    finally:
        load.stop()
    # Some are open now: what was kept of them is on the secondary, and nowhere else.
    replica.catch_up()
    with replica.primary.session(database=replica.schema) as session:
        branches.complete_all(session)
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    assert replica.state("SELECT COUNT(*) FROM xa_prepared") == [(0,)]
