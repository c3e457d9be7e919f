"""The order of packets and answers, and what is committed if one of them is an error."""

from __future__ import annotations

import pytest

from replica_cli.applier import commit_tracker
from replica_cli.applier.batch import Batch, BatchState
from replica_cli.applier.commit_tracker import BatchStats
from replica_cli.core.errors import ApplyRefused, Fenced, PositionLost, RowMissing
from replica_cli.core.events import RowKind
from replica_cli.mysql.errnos import Remedy, ServerError
from tests.unit.applier.rig import DEADLOCK, TABLE, Rig, transaction

NO_ROW, LOST, DISK_FULL = 1032, 2013, 1026
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
# More rows than may be in flight: the answer to the first one is read while the others are sent.
LARGE = ["r0", *(f"r{n}" + " " * 900_000 for n in range(1, 9))]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def submit(rig: Rig, *names: str) -> None:
    """Submit a batch for each name, which is one transaction with one row."""
    for name in names:
        rig.pipeline.submit([transaction(number_of(name), name)])


def number_of(name: str) -> int:
    return 100 * (ord(name[0]) - ord("a") + 1)


def test_the_next_batch_is_built_before_and_sent_after_the_commit_that_is_not_answered(rig: Rig) -> None:
    submit(rig, "a", "b", "c")
    rig.pipeline.drain()
    assert rig.log == [
        "build a", "> a pos:100",
        "build b", "< a", "< pos:100", "> COMMIT", "> b pos:200",
        "build c", "< COMMIT", "< b", "< pos:200", "> COMMIT", "> c pos:300",
        "< COMMIT", "< c", "< pos:300", "> COMMIT", "< COMMIT",
    ]  # fmt: skip
    assert rig.durable == ["a", "pos:100", "b", "pos:200", "c", "pos:300"]


def test_a_position_counts_as_reached_when_its_commit_is_answered(rig: Rig) -> None:
    reached: list[int] = []
    rig.pipeline.on_progress = lambda: reached.append(rig.pipeline.position.pos)
    submit(rig, "a")
    assert (rig.pipeline.position.pos, reached) == (4, [])
    submit(rig, "b")  # sends the COMMIT of a
    assert (rig.pipeline.position.pos, reached) == (4, [])
    rig.pipeline.drain()
    assert reached == [100, 200]
    assert rig.pipeline.source_time == 1_700_000_200
    stats = rig.pipeline.take_stats()
    assert (stats.rows, stats.transactions) == ({(RowKind.INSERT, TABLE.name): 2}, 2)
    assert rig.pipeline.take_stats().transactions == 0


def test_a_drained_pipeline_sends_nothing(rig: Rig) -> None:
    submit(rig, "a")
    rig.pipeline.drain()
    before = list(rig.log)
    rig.pipeline.drain()
    rig.pipeline.save_position()
    assert rig.log == before


def test_transactions_without_rows_are_saved_when_it_is_due(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.pipeline.submit([transaction(50)])
    rig.pipeline.drain()
    assert rig.log == []
    assert rig.pipeline.position.pos == 50
    rig.pipeline.save_position()
    assert rig.durable == ["pos:50"]
    monkeypatch.setattr(commit_tracker, "_IDLE_SAVE_SECONDS", 0.0)
    rig.pipeline.submit([transaction(60)])
    rig.pipeline.drain()
    assert rig.durable == ["pos:50", "pos:60"]


def test_a_deadlock_repeats_the_batch_before_the_next_one_is_sent(rig: Rig) -> None:
    rig.fail("b", DEADLOCK)
    submit(rig, "a", "b", "c")
    rig.pipeline.drain()
    assert rig.log[7:] == [
        "build c", "< COMMIT", "< b", "rollback",
        "build b", "> b pos:200", "< b", "< pos:200", "> COMMIT", "< COMMIT",
        "> c pos:300", "< c", "< pos:300", "> COMMIT", "< COMMIT",
    ]  # fmt: skip
    assert rig.durable == ["a", "pos:100", "b", "pos:200", "c", "pos:300"]
    assert sum(rig.pipeline.take_stats().rows.values()) == 3


def test_a_deadlock_that_stays_is_raised_after_all_attempts(rig: Rig) -> None:
    rig.fail("b", DEADLOCK, DEADLOCK, DEADLOCK)
    submit(rig, "a", "b")
    with pytest.raises(ServerError, match="1213"):
        rig.pipeline.drain()
    assert rig.durable == ["a", "pos:100"]


def test_of_a_failed_batch_only_what_is_before_the_failing_transaction_stays(rig: Rig) -> None:
    rig.fail("b2", *[NO_ROW] * 3)
    submit(rig, "a")
    rig.pipeline.submit([transaction(200 + n, f"b{n}") for n in (1, 2, 3)])
    with pytest.raises(RowMissing) as raised:
        submit(rig, "c")
    assert raised.value.position is not None
    assert raised.value.position.pos == 201
    assert rig.durable == ["a", "pos:100", "b1", "pos:201"]
    assert rig.pipeline.position.pos == 201
    assert rig.log[-4:] == ["build by diagnosis b2", "> b2 pos:202", "< b2", "rollback"]
    assert not rig.steps.is_diagnostic
    rig.pipeline.rollback()
    assert rig.durable == ["a", "pos:100", "b1", "pos:201"]


def test_a_row_that_another_attempt_finds_is_no_failure(rig: Rig) -> None:
    rig.fail("b1", NO_ROW)
    rig.pipeline.submit([transaction(201, "b1"), transaction(202, "b2")])
    submit(rig, "c")
    rig.pipeline.drain()
    assert rig.durable == ["b1", "pos:201", "b2", "pos:202", "c", "pos:300"]


def test_a_batch_that_cannot_be_built_does_not_harm_the_one_before_it(rig: Rig) -> None:
    submit(rig, "a")
    with pytest.raises(ApplyRefused, match="cannot be built, in the transaction at"):
        rig.pipeline.submit([transaction(201, "b1"), transaction(202, "refused")])
    assert rig.durable == ["a", "pos:100", "b1", "pos:201"]


def test_a_bug_while_a_batch_is_built_does_not_harm_the_one_before_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(rig, "a")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rig.writer, "build_ahead", stop)
    with pytest.raises(KeyboardInterrupt):
        submit(rig, "b")
    assert rig.log[-1] == "> COMMIT"
    rig.pipeline.rollback()  # reads the answer
    assert rig.durable == ["a", "pos:100"]


def test_a_refused_commit_takes_along_what_was_sent_after_it(rig: Rig) -> None:
    rig.fail("COMMIT", DEADLOCK)
    submit(rig, "a", "b")
    with pytest.raises(ServerError) as raised:
        submit(rig, "c")
    # What was sent after COMMIT cannot be repeated in this session, and must not be committed in it.
    assert raised.value.remedy is Remedy.RECONNECT
    assert rig.log.count("> COMMIT") == 1
    assert "> c pos:300" not in rig.log
    with pytest.raises(ServerError):
        rig.pipeline.rollback()
    assert rig.log[-1] == "rollback"
    assert rig.durable == []
    assert rig.pipeline.position.pos == 4


@pytest.mark.parametrize("errno", [DEADLOCK, DISK_FULL])
def test_a_refused_commit_is_not_lost_if_the_next_batch_cannot_be_built(rig: Rig, errno: int) -> None:
    rig.fail("COMMIT", errno)
    submit(rig, "a")
    # The answer to COMMIT is read when the next batch is rolled back.
    with pytest.raises(ServerError) as raised:
        rig.pipeline.submit([transaction(201, "b1"), transaction(202, "refused")])
    assert raised.value.errno == errno
    assert raised.value.remedy is not Remedy.RETRY
    assert rig.durable == []


@pytest.mark.parametrize("errno", [DEADLOCK, DISK_FULL])
def test_a_refused_commit_is_not_lost_if_the_next_batch_sends_nothing(rig: Rig, errno: int) -> None:
    rig.fail("COMMIT", errno)
    submit(rig, "a")
    rig.pipeline.submit([transaction(200)])
    with pytest.raises(ServerError) as raised:
        rig.pipeline.submit([transaction(201)])
    assert raised.value.errno == errno
    assert raised.value.remedy is not Remedy.RETRY
    with pytest.raises(ServerError):
        rig.pipeline.rollback()
    assert rig.durable == []


def test_a_refused_commit_after_which_nothing_was_sent_is_repeated(rig: Rig) -> None:
    rig.fail("COMMIT", DEADLOCK)
    submit(rig, "a")
    rig.pipeline.drain()
    assert rig.log.count("> COMMIT") == 2
    assert rig.durable == ["a", "pos:100"]


def test_a_process_that_lost_its_token_commits_nothing(rig: Rig) -> None:
    rig.session.row_counts["pos:200"] = 0
    submit(rig, "a", "b")
    with pytest.raises(Fenced):
        submit(rig, "c")
    assert rig.log.count("> COMMIT") == 1
    assert rig.durable == ["a", "pos:100"]


def test_a_lost_connection_is_not_repeated_in_place(rig: Rig) -> None:
    rig.fail("b", LOST)
    submit(rig, "a", "b")
    with pytest.raises(ServerError) as raised:
        submit(rig, "c")
    assert raised.value.remedy is Remedy.RECONNECT
    assert rig.log[-2:] == ["< b", "abort"]
    assert rig.durable == ["a", "pos:100"]


def test_an_error_while_a_batch_is_sent_is_raised_when_its_results_are_awaited(rig: Rig) -> None:
    rig.fail("r0", DEADLOCK)
    rig.pipeline.submit([transaction(100, *LARGE)])
    assert "< r0" in rig.log
    assert rig.durable == []
    rig.pipeline.drain()
    assert rig.durable[0] == "r0"
    assert rig.durable[-1] == "pos:100"


def test_a_log_with_other_transactions_is_noticed_before_the_failure_of_its_rows() -> None:
    rig = Rig(is_mariadb=False)
    rig.fail("r0", NO_ROW)
    rig.pipeline.submit([transaction(100, "a")._replace(gtid=f"{UUID}:5")])
    rig.pipeline.drain()
    with pytest.raises(PositionLost):
        rig.pipeline.submit([transaction(200, *LARGE)._replace(gtid=f"{UUID}:5")])
    assert "< r0" in rig.log
    rig.pipeline.rollback()
    assert rig.durable == ["a", "pos:100"]


def test_what_the_writer_got_before_is_committed_with_the_batch(rig: Rig) -> None:
    rig.writer.add(b"piece")
    rig.pipeline.commit(Batch([transaction(100)], BatchStats(transactions=1)))
    assert rig.durable == ["piece", "pos:100"]


def test_an_intent_ends_with_the_position_after_its_transaction(rig: Rig) -> None:
    statement = transaction(100)
    rig.intent.open(statement)
    rig.intent.delete_with_it([b"forget-quarantine"])
    rig.pipeline.commit(Batch([transaction(50, "a")], BatchStats(transactions=1)), ())
    assert rig.durable == []  # nothing was written, and no position is due
    rig.pipeline.commit(Batch([statement], BatchStats(transactions=1)))
    assert rig.durable == ["forget-intent", "forget-quarantine", "pos:100"]
    assert not rig.intent.ends_with([statement])


@pytest.mark.parametrize("statement", ["a", "pos:100", "COMMIT"])
def test_an_error_before_the_commit_is_answered_fails_the_batch(rig: Rig, statement: str) -> None:
    rig.fail(statement, DEADLOCK)
    rig.writer.write(rig.steps.steps([transaction(100, "a")], BatchStats()))
    batch = Batch([transaction(100, "a")])
    with pytest.raises(ServerError) as raised:
        rig.pipeline.commit(batch)
    assert (batch.state, batch.failure) == (BatchState.FAILED, raised.value)
    rig.pipeline.rollback()
    assert rig.durable == []


def test_an_error_of_what_follows_the_commit_leaves_the_batch_committed(rig: Rig) -> None:
    def fail() -> None:
        raise Fenced("while the progress was reported")

    rig.pipeline.on_progress = fail
    batch = Batch([transaction(100)])
    with pytest.raises(Fenced):
        rig.pipeline.commit(batch, must_save=True)
    assert (batch.state, batch.failure) == (BatchState.COMMITTED, None)
    assert rig.durable == ["pos:100"]


def test_a_batch_that_saves_no_position_is_committed_with_its_last_result(rig: Rig) -> None:
    batch = Batch([transaction(100)])
    rig.pipeline.commit(batch)
    assert (batch.state, batch.is_saved) == (BatchState.COMMITTED, False)
    assert rig.log == []
