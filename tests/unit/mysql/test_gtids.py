"""A position with its GTID set, if the server can tell the set only at the end of a log that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.attempts import GTID_ATTEMPTS
from replica_cli.core.errors import Interrupted, PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog import gtid_sets as module
from replica_cli.mysql.binlog.gtid_sets import with_gtids
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session


class Primary:
    """A primary that cannot tell the set of a position, and whose log grows with each look until `ends_after` looks."""

    server = "primary"

    def __init__(self, ends_after: int) -> None:
        self.looks = 0
        self.ends_after = ends_after

    def row(self, sql: str, *_: object) -> Row | None:
        if "BINLOG_GTID_POS" in sql:
            return (None,)
        return (16_777_216,) if "max_allowed_packet" in sql else ("0-1-7",)

    def end(self) -> Position:
        self.looks += 1
        return Position("binlog.000001", 100 + min(self.looks, self.ends_after))


def found(primary: Primary, stop: StopToken | None = None) -> Position:
    return with_gtids(cast("Session", primary), primary.end, primary.end, stop)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)


def test_the_set_is_that_of_a_log_that_does_not_grow_while_it_is_read() -> None:
    assert found(Primary(ends_after=20)) == Position("binlog.000001", 120, "0-1-7")


def test_a_log_that_grows_all_the_time_is_given_up() -> None:
    primary = Primary(ends_after=10_000)
    with pytest.raises(PrimaryError, match="cannot be read"):
        found(primary)
    assert primary.looks == 1 + 2 * GTID_ATTEMPTS


def test_a_stop_ends_the_attempts() -> None:
    primary, stop = Primary(ends_after=10_000), StopToken()
    stop.request()
    with pytest.raises(Interrupted):
        found(primary, stop)
    assert primary.looks == 3
