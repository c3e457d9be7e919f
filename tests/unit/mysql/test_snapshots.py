"""How tables of a primary are locked: for a moment, as those who write to them wait behind the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.attempts import TABLE_LOCK_ATTEMPTS
from replica_cli.core.errors import Interrupted, PrimaryError
from replica_cli.core.names import TableName
from replica_cli.core.settings import Retry
from replica_cli.mysql.binlog import snapshots as module
from replica_cli.mysql.binlog.snapshots import lock_tables
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, ER_TABLEACCESS_DENIED, Remedy, ServerError
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

ITEMS, SALES = TableName("shop", "items"), TableName("shop", "sales")
SHORT = "SET SESSION lock_wait_timeout = 3, innodb_lock_wait_timeout = 3"
USUAL = "SET SESSION lock_wait_timeout = 86400, innodb_lock_wait_timeout = 50"


class Primary:
    """A primary that refuses the first locks with an error."""

    server = "primary"

    def __init__(self, refusals: int = 0, *, is_mariadb: bool = False, errno: int = ER_LOCK_WAIT_TIMEOUT) -> None:
        self.is_mariadb = is_mariadb
        self.refusals = refusals
        self.errno = errno
        self.statements: list[str] = []

    def post(self, sql: str) -> None:
        self.statements.append(sql)

    def execute(self, sql: str) -> int:
        self.statements.append(sql)
        if self.refusals:
            self.refusals -= 1
            remedy = Remedy.RETRY if self.errno == ER_LOCK_WAIT_TIMEOUT else Remedy.FATAL
            raise ServerError(self.errno, "refused", self.server, remedy=remedy)
        return 0

    def lock(self, stop: StopToken | None = None) -> None:
        lock_tables(cast("Session", self), [ITEMS, SALES], stop)


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCKING", Retry(attempts=TABLE_LOCK_ATTEMPTS, delay=0.0))


def test_on_mysql_the_session_waits_three_seconds_for_the_lock_and_then_as_before() -> None:
    primary = Primary()
    primary.lock()
    assert primary.statements == [SHORT, "LOCK TABLES `shop`.`items` READ, `shop`.`sales` READ", USUAL]


def test_on_mariadb_the_statement_says_how_long_it_waits() -> None:
    primary = Primary(is_mariadb=True)
    primary.lock()
    assert primary.statements == ["LOCK TABLES `shop`.`items` READ, `shop`.`sales` READ WAIT 3"]


def test_tables_in_use_are_locked_later() -> None:
    primary = Primary(refusals=2)
    primary.lock()
    assert [s.split()[0] for s in primary.statements] == ["SET", "LOCK", "SET"] * 3
    assert primary.statements[-1] == USUAL


def test_tables_that_stay_in_use_are_named_and_the_usual_waits_are_set_again() -> None:
    primary = Primary(refusals=100)
    with pytest.raises(ServerError, match=r"shop\.items, shop\.sales can be copied only under a read lock") as caught:
        primary.lock()
    assert caught.value.remedy is Remedy.RETRY
    assert primary.statements.count(SHORT) == TABLE_LOCK_ATTEMPTS
    assert primary.statements[-1] == USUAL


def test_a_right_that_is_missing_is_named_at_once() -> None:
    primary = Primary(refusals=100, errno=ER_TABLEACCESS_DENIED)
    with pytest.raises(PrimaryError, match="may not lock tables") as caught:
        primary.lock()
    assert caught.value.hint == "GRANT LOCK TABLES ON `shop`.* TO this user;"
    assert primary.statements.count(SHORT) == 1


def test_a_stop_ends_the_attempts() -> None:
    primary, stop = Primary(refusals=100), StopToken()
    stop.request()
    with pytest.raises(Interrupted):
        primary.lock(stop)
    assert primary.statements.count(SHORT) == 1
