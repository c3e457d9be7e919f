"""What a re-sync does about errors of its catch-up: tried again, copied again, quarantined, or left to the stream."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from replica_cli.checkpoint.catchup_position import CatchupLost
from replica_cli.checkpoint.table_records import QuarantineCause, TableRecord
from replica_cli.core.attempts import REFUSALS_LIMIT
from replica_cli.core.errors import (
    ApplyRefused,
    Drift,
    LockLost,
    PositionLost,
    PreparedTransactionOverlap,
    RefusedInWindow,
    ReplicaError,
    TableChangedInWindow,
)
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Apply, Retry, Secret, Server, Settings, TableFailurePolicy
from replica_cli.core.status import TableState
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.resync import resync as module
from replica_cli.resync.resync import TableResync

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PRIMARY = Server("db1", "127.0.0.1", 3306, "user", Secret("secret"))
SECONDARY = Server("db2", "127.0.0.1", 3307, "user", Secret("secret"))
ITEMS = TableName("shop", "items")
START = Position("binlog.000001", 100)
LOST = ServerError(2013, "lost", "db2", remedy=Remedy.RECONNECT)


class Scene:
    """A re-sync of one table whose catch-up fails with these errors, one after another, and then works."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        errors: Iterable[Exception],
        policy: TableFailurePolicy | None = None,
        *,
        refusals: Mapping[TableName, int] | None = None,
        moves: bool = False,
    ) -> None:
        self.errors = iter(errors)
        self.records = {ITEMS: TableRecord(ITEMS, TableState.CATCHING_UP, copy_start=START)}
        self.position, self.moves = START, moves
        self.copied: list[Sequence[TableName]] = []
        self.quarantined: list[TableName] = []
        self.waits: list[float] = []
        apply = Apply(table_failures=3, on_table_failure=policy or TableFailurePolicy.QUARANTINE)
        settings = Settings(PRIMARY, (SECONDARY,), Selection((("shop", "shop"),)), retry=Retry(delay=0.0), apply=apply)
        patch.setattr(module, "connect", lambda *_: nullcontext(Mock()))
        store = Mock(load=lambda: self.records, quarantine=self._quarantine)
        patch.setattr(module, "TableLifecycle", lambda *_: store)
        patch.setattr(module, "TableCatchup", lambda *_, **__: Mock(run=self._catch_up, position=self._next_position()))
        patch.setattr(module, "ask_for_copies", lambda _settings, _store, names, _reason: self.copied.append(names))
        self.guard = Mock()
        self.resync = TableResync(
            settings, SECONDARY, names=frozenset({ITEMS}), asked_by={}, server_id=2, token=1, guard=self.guard,
            primary_facts=Mock(), publisher=Mock(), stop=Mock(),
            refusals=refusals or {},
        )  # fmt: skip
        patch.setattr(self.resync._end, "wait", self._wait)

    def run(self) -> ReplicaError | None:
        """Run the re-sync to its end and return the error that it leaves to the stream."""
        self.resync.start()
        self.resync._thread.join(60)
        return self.resync._error

    def _wait(self, seconds: float) -> bool:
        assert threading.current_thread() is self.resync._thread
        self.waits.append(seconds)
        return self.resync._end.is_set

    def _next_position(self) -> Position:
        """Return the position that the next catch-up commits last."""
        if self.moves:
            self.position = Position(START.file, self.position.pos + 1)
        return self.position

    def _catch_up(self) -> None:
        error = next(self.errors, None)
        if error is not None:
            raise error
        self.records = {}

    def _quarantine(self, causes: Sequence[QuarantineCause], **_: object) -> None:
        self.quarantined += [cause.name for cause in causes]
        self.records = {}


def test_a_lost_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [LOST, LOST])
    assert scene.run() is None
    assert scene.waits == [1.0, 2.0]
    assert scene.resync._has_ended.is_set()


def test_a_table_that_fails_is_tried_again_and_then_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [ApplyRefused("refused", table=ITEMS) for _ in range(9)])
    assert scene.run() is None
    assert (scene.quarantined, len(scene.waits)) == ([ITEMS], 3)
    assert next(scene.errors, None) is not None


def test_failures_between_which_rows_were_applied_do_not_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [ApplyRefused("refused", table=ITEMS) for _ in range(9)], moves=True)
    assert scene.run() is None
    assert (scene.quarantined, len(scene.waits)) == ([], 9)


def test_a_table_that_each_new_window_refuses_is_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each copy begins at a later position.
    errors = [RefusedInWindow("no partition", table=ITEMS) for _ in range(9)]
    scene = Scene(monkeypatch, errors, moves=True)
    assert scene.run() is None
    assert (len(scene.copied), scene.quarantined) == (REFUSALS_LIMIT - 1, [ITEMS])
    assert scene.resync.refusals == {}


def test_refusals_are_counted_over_several_re_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    # Between the copies a hand-over of other tables ends the re-sync, and another one begins.
    refused = RefusedInWindow("no partition", table=ITEMS)
    scene = Scene(monkeypatch, [refused], refusals={ITEMS: 1})
    assert scene.run() is None
    assert (len(scene.copied), scene.resync.refusals) == (1, {ITEMS: 2})
    scene = Scene(monkeypatch, [refused], refusals={ITEMS: REFUSALS_LIMIT - 1})
    assert scene.run() is None
    assert (scene.copied, scene.quarantined) == ([], [ITEMS])


def test_drift_quarantines_at_once_and_a_stop_for_tables_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [Drift("missing", table=ITEMS)])
    assert scene.run() is None
    assert scene.quarantined == [ITEMS]
    scene = Scene(monkeypatch, [Drift("missing", table=ITEMS)], TableFailurePolicy.STOP)
    error = scene.run()
    assert error is not None
    assert (error.message, scene.quarantined) == ("missing", [])


@pytest.mark.parametrize(
    "error", [TableChangedInWindow((ITEMS,), "altered"), PositionLost("purged")], ids=lambda e: type(e).__name__
)
def test_what_cannot_catch_up_is_copied_again(monkeypatch: pytest.MonkeyPatch, error: ReplicaError) -> None:
    scene = Scene(monkeypatch, [error])
    assert scene.run() is None
    assert [list(names) for names in scene.copied] == [[ITEMS]]


def test_an_overlap_is_copied_again_by_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PreparedTransactionOverlap("overlaps")
    scene = Scene(monkeypatch, [error])
    assert scene.run() is error
    assert [list(names) for names in scene.copied] == [[ITEMS]]


def test_a_changed_record_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [CatchupLost("changed")])
    assert (scene.run(), scene.waits) == (None, [1.0])


def test_a_request_for_a_copy_that_fails_is_left_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [TableChangedInWindow((ITEMS,), "altered")])
    lost = LockLost("lost")
    scene.guard.check.side_effect = lost
    assert scene.run() is lost
    assert scene.copied == []


def test_a_process_that_lost_the_lock_quarantines_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [Drift("missing", table=ITEMS)])
    lost = LockLost("lost")
    scene.guard.check.side_effect = lost
    assert scene.run() is lost
    assert scene.quarantined == []


def test_a_bug_is_left_to_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    error = Scene(monkeypatch, [ZeroDivisionError()]).run()
    assert error is not None
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_an_end_is_heard_instead_of_another_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, [LOST, LOST])

    def end() -> None:
        scene.resync._end.request()
        raise LOST

    monkeypatch.setattr(module, "TableCatchup", lambda *_, **__: Mock(run=end))
    assert scene.run() is None
    assert not scene.resync._has_ended.is_set()
    assert len(scene.waits) == 1
