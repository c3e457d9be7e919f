"""The position of a snapshot is the one that the status repeats; the events before it decide if it is settled."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog.mariadb_snapshots import Snapshot, open_snapshot
from replica_cli.mysql.errnos import ER_ERROR_WHEN_EXECUTING_COMMAND, Remedy, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.mysql.session import Row, Session

OURS, ANOTHER = 4711, 4800
FILE = "binlog.000007"
CHECKPOINT_BYTES = 40  # with the name of FILE and a checksum
HEAD = [("Format_desc", 4, 256, ""), ("Gtid_list", 256, 299, "")]
BEFORE, ITSELF = "binlog.000006", FILE


class Primary:
    """A primary whose status other sessions read too; `places` are its answers, of which the last one is repeated."""

    server = "primary"

    def __init__(
        self,
        places: Iterable[int],
        events: Sequence[tuple[str, int, int, str]] = (),
        prepared: Sequence[str] = (),
        commits: Sequence[int] = (0, 0),
    ) -> None:
        self.places = list(places)
        self.events = events
        self.prepared = prepared
        self.commits = list(commits)

    def rows_of_each(self, queries: Sequence[str]) -> list[list[Row]]:
        return [self.rows(query) for query in queries]

    def execute(self, sql: str) -> int:
        assert sql == "START TRANSACTION WITH CONSISTENT SNAPSHOT"
        return 0

    def rows(self, sql: str, *_: object) -> list[Row]:
        if sql.startswith("SHOW BINLOG EVENTS"):
            return [(FILE, start, kind, 1, end, info) for kind, start, end, info in self.events]
        if "binlog_checksum" in sql:
            return [("CRC32",)]
        if sql == "XA RECOVER":
            return [(1, len(name), 0, name) for name in self.prepared]
        if "com_xa_commit" in sql:
            return [("Com_xa_commit", str(self.commits.pop(0) if len(self.commits) > 1 else self.commits[0]))]
        place = self.places.pop(0) if len(self.places) > 1 else self.places[0]
        return [("Binlog_snapshot_file", FILE), ("Binlog_snapshot_position", str(place))]

    def row(self, sql: str, *arguments: object) -> Row | None:
        found = [event for event in self.rows(sql) if event[1] == arguments[1]]
        if not found:
            text = "Wrong offset or I/O error"
            raise ServerError(ER_ERROR_WHEN_EXECUTING_COMMAND, text, "primary", remedy=Remedy.FATAL)
        return found[0]


def opened(primary: Primary) -> Snapshot:
    return open_snapshot(cast("Session", primary))


@pytest.mark.parametrize("wrong", range(5))
def test_an_answer_to_another_session_is_not_believed(wrong: int) -> None:
    places = [OURS] * 5
    places[wrong] = ANOTHER
    assert opened(Primary([*places, OURS])) == Snapshot(Position(FILE, OURS), is_settled=True)


def test_answers_that_never_agree_are_an_error() -> None:
    with pytest.raises(PrimaryError, match="the position of a snapshot cannot be read"):
        opened(Primary([OURS, ANOTHER] * 200))


@pytest.mark.parametrize(
    ("events", "is_settled"),
    [
        ([*HEAD, ("Binlog_checkpoint", 299, 339, BEFORE)], False),
        ([*HEAD, ("Binlog_checkpoint", 299, 339, ITSELF)], True),
        ([*HEAD, ("Binlog_checkpoint", 299, 339, BEFORE), ("Binlog_checkpoint", 339, 379, ITSELF)], True),
        ([*HEAD, ("Xid", 299, 330, ""), ("Binlog_checkpoint", 330, 370, ITSELF)], False),
        ([*HEAD, ("Binlog_checkpoint", 299, 339, BEFORE), ("Xid", 339, 370, "")], True),
    ],
)
def test_events_before_the_position_decide_if_the_snapshot_shows_all(
    events: Sequence[tuple[str, int, int, str]], *, is_settled: bool
) -> None:
    assert opened(Primary([events[-1][2]], events)).is_settled is is_settled


def test_the_name_of_the_file_before_may_be_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "FILE", "binlog.1000000")
    events = [*HEAD, ("Binlog_checkpoint", 299, 299 + CHECKPOINT_BYTES, "binlog.999999")]
    assert not opened(Primary([299 + CHECKPOINT_BYTES], events)).is_settled


@pytest.mark.parametrize(("prepared", "commits"), [(["left"], [3, 3]), ([], [3, 4])])
def test_it_is_not_settled_while_there_are_xa_transactions(prepared: list[str], commits: list[int]) -> None:
    assert not opened(Primary([OURS], prepared=prepared, commits=commits)).is_settled


class PrimaryWithXa(Primary):
    """A primary on which one XA transaction is prepared, logged and made visible before the queries of given numbers.

    From the moment that its XA COMMIT begins, it is counted and in the log; until it is visible, XA RECOVER shows it.
    """

    def __init__(self, moments: tuple[int, int, int]) -> None:
        super().__init__([OURS])
        self._prepared_at, self._logged_at, self._visible_at = moments
        self._asked = 0
        self.snapshot_at = 0

    def rows_of_each(self, queries: Sequence[str]) -> list[list[Row]]:
        answers = []
        for query in queries:
            is_prepared = self._prepared_at <= self._asked < self._visible_at
            self.prepared = ["x"] if is_prepared else []
            self.commits = [int(self._asked >= self._logged_at)]
            if query.startswith("START TRANSACTION"):
                self.snapshot_at = self._asked
            answers.append(self.rows(query))
            self._asked += 1
        return answers

    @property
    def shows_what_is_logged(self) -> bool:
        return not self._logged_at <= self.snapshot_at < self._visible_at


QUERIES = range(11)


def test_it_is_settled_at_no_moment_of_an_xa_commit() -> None:
    settled, wrong = 0, []
    for moments in itertools.combinations_with_replacement(QUERIES, 3):
        primary = PrimaryWithXa(moments)
        if opened(primary).is_settled:
            settled += 1
            if not primary.shows_what_is_logged:
                wrong.append(moments)
    assert settled
    assert wrong == []
