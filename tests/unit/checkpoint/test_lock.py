"""How long the writer's lock is waited for, and whose connection is ended for it; with a scripted server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.checkpoint.lock import FormerWriter, LockGuard, WriterLock, lock_name, repair_lock_name
from replica_cli.core.attempts import LOCK_FREE_ATTEMPTS
from replica_cli.core.errors import Interrupted, LockHeld, LockLost, NamedTwice, SecondaryError
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replica_cli.mysql.session import Row, Session

OURS, OTHER = 7, 9


class Server:
    """A server with named locks. The answers are taken one after another; the last one is given for ever."""

    def __init__(
        self,
        *,
        given: Iterable[object] = (0,),
        holders: Iterable[int | None] = (OTHER,),
        rolls_back: Iterable[bool] = (False,),
        status: tuple[str, int] | None = ("host:7", 3),
        uptime: int = 1_000_000,
        repairs: Iterable[bool] = (False,),
    ) -> None:
        self.answers: dict[str, list[object]] = {
            "GET_LOCK": list(given), "IS_USED_LOCK": list(holders), "ROLLING": list(rolls_back),
            "REPAIRS": list(repairs),
        }  # fmt: skip
        self.status = status
        self.uptime = uptime
        self.hides_processes = False
        self.statements: list[str] = []
        self.timeouts: list[float] = []
        self.on_question: Callable[[], None] = lambda: None

    def execute(self, sql: str) -> int:
        self.statements.append(sql)
        return 0

    def row(self, sql: str, *arguments: object) -> Row | None:
        self.on_question()
        if "GET_LOCK" in sql:
            self.timeouts.append(cast("float", arguments[1]))
        if "processlist" in sql and self.hides_processes:
            raise ServerError(1227, "denied", "db2", remedy=Remedy.FATAL)
        if "RELEASE_LOCK" in sql:
            self.statements.append(f"RELEASE {arguments[0]}")
        answers: dict[str, Callable[[], Row | None]] = {
            "GET_LOCK": lambda: (self._next("GET_LOCK"),),
            "RELEASE_LOCK": lambda: (1,),
            "IS_USED_LOCK": lambda: (self._holder(arguments[0]),),
            "Uptime": lambda: ("Uptime", str(self.uptime)),
            "processlist": lambda: (1,) if self._next("ROLLING") else None,
            "innodb_trx": lambda: None,
            "holder": lambda: self.status,
        }
        return next(answer() for part, answer in answers.items() if part in sql)

    def _holder(self, name: object) -> object:
        if name == repair_lock_name("replica", "db2"):
            return OTHER if self._next("REPAIRS") else None
        return self._next("IS_USED_LOCK")

    def _next(self, what: str) -> object:
        answers = self.answers[what]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def lock(server: Server, work: str = "") -> WriterLock:
    return WriterLock(cast("Session", server), "replica", "db2", work=work)


def test_a_lock_that_is_free_is_taken_within_the_time_that_the_caller_gives() -> None:
    server = Server(given=[1])
    lock(server).acquire(10.0)
    assert server.timeouts == [10.0]


def test_a_lock_of_a_working_process_is_refused_and_the_process_is_named() -> None:
    with pytest.raises(LockHeld, match=r"db2: the process \(host host, pid 7\) writes to this instance") as caught:
        lock(Server()).acquire(0.0)
    assert caught.value.hint is not None
    assert "stop it first" in caught.value.hint


def test_a_process_that_is_silent_is_told_from_one_that_works() -> None:
    with pytest.raises(LockHeld, match="has been silent for 20s: it is dead, frozen or cut off"):
        lock(Server(status=("host:7", 20))).acquire(0.0)
    with pytest.raises(LockHeld, match="connection 9 writes"):
        lock(Server(status=None)).acquire(0.0)


def test_a_rollback_of_a_dead_connection_is_waited_for_without_a_limit() -> None:
    server = Server(given=[0] * 50 + [1], rolls_back=[True])
    lock(server).acquire(10.0)
    assert server.timeouts == [10.0] + [1.0] * 50


def test_a_repair_is_waited_for_because_it_gives_way(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(given=[0] * 20 + [1], repairs=[True])
    lock(server).acquire(10.0)
    assert server.timeouts == [10.0] + [1.0] * 20
    assert [r.getMessage() for r in caplog.records] == [
        "waits for the writer's lock: a command repairs rows, and frees it after each step (connection 9)"
    ]


def test_a_repair_that_does_not_give_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LockHeld, match=r"^db2: a command repairs its rows \(connection 9 of the secondary\)$"):
        lock(Server(repairs=[True])).acquire(0.0)
    monkeypatch.setattr("replica_cli.checkpoint.lock.REPAIR_STEP_SECONDS", -10.0)
    with pytest.raises(LockHeld, match="a command repairs its rows"):
        lock(Server(repairs=[True])).acquire(10.0)


def test_a_stop_ends_the_wait() -> None:
    server, stop = Server(rolls_back=[True]), StopToken()
    server.on_question = lambda: stop.request() if len(server.timeouts) == 3 else None
    with pytest.raises(Interrupted):
        lock(server).acquire(10.0, stop=stop)
    assert server.timeouts == [10.0, 1.0, 1.0, 1.0]


def test_a_server_that_hides_the_process_list_shows_no_rollback() -> None:
    server = Server(rolls_back=[True])
    server.hides_processes = True
    with pytest.raises(LockHeld):
        lock(server).acquire(0.0)


def test_a_lock_that_is_free_and_not_given_is_an_error_after_some_attempts() -> None:
    server = Server(given=[None], holders=[None])
    with pytest.raises(SecondaryError, match="does not give the writer's lock, which is free"):
        lock(server).acquire(0.0)
    assert len(server.timeouts) == LOCK_FREE_ATTEMPTS


class TestFormerWriter:
    """The connection on which this process held the lock before."""

    def acquire(self, *, holder: int = OURS, since: float = 5.0, uptime: int = 1_000) -> Server:
        server = Server(given=[1], holders=[holder], uptime=uptime)
        lock(server).acquire(0.0, former=FormerWriter(OURS, time.monotonic() - since))
        return server

    def test_it_is_ended_if_it_still_holds_the_lock(self) -> None:
        assert self.acquire().statements == [f"KILL {OURS}"]

    def test_another_one_is_left_alone(self) -> None:
        assert self.acquire(holder=OTHER).statements == []

    def test_one_with_its_number_on_a_server_that_was_restarted_is_left_alone(self) -> None:
        assert self.acquire(since=60.0, uptime=30).statements == []


def test_the_lock_of_the_work_shows_a_server_with_two_names() -> None:
    server = Server(given=[1, 0])
    with pytest.raises(NamedTwice, match="as another instance"):
        lock(server, "primary:3306").acquire(10.0)
    assert [s.split()[0] for s in server.statements] == ["RELEASE", "RELEASE"]
    server = Server(given=[1, 1])
    lock(server, "primary:3306").acquire(10.0)
    assert server.timeouts == [10.0, 1.0]


def test_locks_of_two_instances_and_of_two_schemas_differ_and_fit_the_server() -> None:
    names = {lock_name(schema, instance) for schema in ("a", "b" * 64) for instance in ("db2", "db3")}
    assert len(names) == 4
    assert max(map(len, names)) <= 64


@pytest.mark.parametrize("holder", [OTHER, None])
def test_no_connection_writes_after_the_lock_was_lost(holder: int | None) -> None:
    guard = LockGuard("replica", "db2", OURS)
    guard.check(cast("Session", Server(holders=[OURS])))
    with pytest.raises(LockLost):
        guard.check(cast("Session", Server(holders=[holder])))
