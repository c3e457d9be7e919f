"""How often and how long a statement of a copy waits for a table lock."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.errors import Interrupted, LockWait
from replica_cli.core.table import TableName
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, Remedy, ServerError
from replica_cli.transfer import lock_waits
from replica_cli.transfer.lock_waits import LockWaits

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.session import Session
    from replica_cli.transfer.connections import Endpoints

TABLE = TableName("shop", "orders")
NO_LOCK = ServerError(ER_LOCK_WAIT_TIMEOUT, "Lock wait timeout exceeded", "db2", remedy=Remedy.RETRY)


class FakeSession:
    """Keeps the timeouts that are set."""

    server = SimpleNamespace(name="db2")
    connection_id = 1

    def __init__(self) -> None:
        self.timeouts: list[str] = []

    def post(self, statement: str) -> None:
        self.timeouts.append(statement.removeprefix("SET SESSION lock_wait_timeout = "))


def run(work: Callable[[], None], *, limit: float = 0.0, is_over: bool = False) -> list[str]:
    """Run work that waits for locks; return the timeouts of its attempts, and that of the session after them."""
    session = FakeSession()
    endpoints = cast("Endpoints", SimpleNamespace(ddl_lock_wait=limit, network=SimpleNamespace(query_timeout=900.0)))
    LockWaits(endpoints, lambda: is_over).run(cast("Session", session), TABLE, work)
    return session.timeouts


def failing(count: int, error: Exception = NO_LOCK) -> Callable[[], None]:
    errors = [error] * count

    def work() -> None:
        if errors:
            raise errors.pop()

    return work


def test_each_attempt_waits_twice_as_long_up_to_half_of_the_query_timeout() -> None:
    *timeouts, usual = run(failing(4))
    assert timeouts == ["60", "120", "240", "450", "450"]
    assert usual not in timeouts


def test_the_waits_together_take_no_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(lock_waits, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with pytest.raises(LockWait, match=r"shop\.orders: waited 2m00s") as raised:
        run(failing(10), limit=120.0)
    assert raised.value.table == TABLE


def test_a_result_that_is_not_needed_any_more_ends_the_wait() -> None:
    with pytest.raises(Interrupted):
        run(failing(1), is_over=True)


@pytest.mark.parametrize(
    "error", [ServerError(1142, "denied", "db2", remedy=Remedy.FATAL), RuntimeError("a bug")], ids=str
)
def test_other_errors_end_the_work(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        run(failing(1, error))
    assert raised.value is error
