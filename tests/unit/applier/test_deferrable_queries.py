"""Which errors of a question beside the rows are outlived, for how long, and what is said of them."""

from __future__ import annotations

import logging
import time

import pytest

from replica_cli.applier.deferrable_queries import DeferrableQueries
from replica_cli.core.attempts import UNKNOWN_ATTEMPTS
from replica_cli.core.settings import Retry
from replica_cli.mysql.errnos import Remedy, ServerError, remedy_of

AT_ONCE = Retry(attempts=1, delay=0.0, delay_limit=0.0)


def error(errno: int) -> ServerError:
    return ServerError(errno, "words", "db2", remedy=remedy_of(errno))


def failing(errno: int) -> str:
    raise error(errno)


@pytest.mark.parametrize("errno", [6, 3, 1030, 1114, 1205, 1213, 1317, 99999])
def test_what_may_clear_is_asked_again_and_said_once(errno: int, caplog: pytest.LogCaptureFixture) -> None:
    side = DeferrableQueries("db2", AT_ONCE)
    with caplog.at_level(logging.WARNING, "replica_cli"):
        for _ in range(UNKNOWN_ATTEMPTS - 1):
            assert side.ask("locks", lambda: failing(errno), "nothing") == "nothing"
        assert side.ask("locks", lambda: "found", "nothing") == "found"
    assert [r.getMessage() for r in caplog.records] == [f"locks failed, trying again later: db2: words (error {errno})"]
    # From there on it is counted again.
    assert side.ask("locks", lambda: failing(errno), "nothing") == "nothing"


@pytest.mark.parametrize("errno", [6, 1213, 1114])
def test_what_stays_is_raised_and_asks_for_no_batch_once_more(errno: int) -> None:
    side = DeferrableQueries("db2", AT_ONCE)
    for _ in range(UNKNOWN_ATTEMPTS - 1):
        side.ask("locks", lambda: failing(errno), "")
    with pytest.raises(ServerError) as raised:
        side.ask("locks", lambda: failing(errno), "")
    assert raised.value.remedy is not Remedy.RETRY


@pytest.mark.parametrize("errno", [2013, 1053, 1142, 1146, 1064, 1045, 1130, 2026])
def test_a_lost_connection_and_what_is_certain_are_raised_at_once(errno: int) -> None:
    with pytest.raises(ServerError):
        DeferrableQueries("db2", AT_ONCE).ask("locks", lambda: failing(errno), "")


def test_a_question_that_failed_is_not_asked_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    side = DeferrableQueries("db2", Retry(attempts=1, delay=8.0, delay_limit=60.0))
    side.ask("locks", lambda: failing(6), "")
    now[0] += 3.9
    assert side.ask("locks", lambda: "asked", "") == ""
    # Other questions do not wait for it.
    assert side.ask("states", lambda: "asked", "") == "asked"
    now[0] += 4.2
    assert side.ask("locks", lambda: "asked", "") == "asked"
