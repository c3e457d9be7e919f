"""XA transactions under load; `replica` is killed between PREPARE and COMMIT."""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.command import Load, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

KEYS = 40


class Branch(NamedTuple):
    """A transaction that is prepared, or about to be, in a session of its own."""

    xid: str
    key: int
    session: Session


class Branches:
    """Prepares transactions, writes others between, and completes them later; up to four are open at a time.

    The session that prepared a transaction completes it. If another session does so just after that one has closed,
    MariaDB 10.11 may answer with success and log it, but keep the transaction and its locks: 1 of 6,000, measured with
    eight such pairs of sessions at a time.
    """

    def __init__(self, replica: Replica) -> None:
        self._primary, self._schema = replica.primary, replica.schema
        self._chance = random.Random(7)
        self._numbers = itertools.count(1)
        self._free = set(range(KEYS))
        self._open: list[Branch] = []
        self.completed = 0
        replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY, v INT)", f"INSERT INTO t VALUES {_rows()}")

    def __call__(self, session: Session) -> None:
        if len(self._open) == 4 or (self._open and self._chance.random() < 0.4):
            self.complete(self._chance.choice(self._open))
        else:
            self.prepare(self._chance.choice(sorted(self._free)))
        key = self._chance.choice(sorted(self._free))
        session.execute(f"INSERT INTO t VALUES ({key}, 1) ON DUPLICATE KEY UPDATE v = v + 1")

    def prepare(self, key: int) -> None:
        # A session that has prepared one can do nothing else on MariaDB.
        branch = Branch(f"'x{next(self._numbers)}'", key, self._primary.session(database=self._schema))
        self._open.append(branch)
        self._free.discard(key)
        change = self._chance.choice((f"UPDATE t SET v = v + 1 WHERE id = {key}", f"DELETE FROM t WHERE id = {key}"))
        rows = f"REPLACE INTO t VALUES ({key}, 0)"
        for words in (f"XA START {branch.xid}", rows, change, f"XA END {branch.xid}", f"XA PREPARE {branch.xid}"):
            branch.session.execute(words)

    def complete(self, branch: Branch) -> None:
        with branch.session as session:
            session.execute(f"XA {self._chance.choice(('COMMIT', 'COMMIT', 'ROLLBACK'))} {branch.xid}")
        self._open.remove(branch)
        self._free.add(branch.key)
        self.completed += 1

    def complete_all(self) -> None:
        for branch in tuple(self._open):
            self.complete(branch)


def _rows() -> str:
    return ", ".join(f"({key}, 0)" for key in range(0, KEYS, 2))


def _has_gone_on(replica: Replica, branches: Branches, saved: tuple[str, int], completed: int) -> bool:
    return branches.completed > completed + 2 and replica.saved() > saved


@pytest.fixture
def branches(replica: Replica) -> Iterator[Branches]:
    made = Branches(replica)
    yield made
    made.complete_all()


@pytest.mark.every_flavour
def test_killed_between_prepare_and_commit_nothing_is_lost(replica: Replica, branches: Branches) -> None:
    replica.run("transfer")
    load = Load(replica.primary, replica.schema, branches)
    try:
        for number in range(5):
            running = replica.stream()
            has_gone_on = partial(_has_gone_on, replica, branches, replica.saved(), branches.completed)
            wait_until(has_gone_on, f"round {number}")
            running.kill_all()
    finally:
        load.stop()
    # Some are open now: what was kept of them is on the secondary, and nowhere else.
    replica.catch_up()
    branches.complete_all()
    replica.catch_up()
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    assert replica.state("SELECT COUNT(*) FROM xa_prepared") == [(0,)]
