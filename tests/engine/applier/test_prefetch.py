"""Pages are read ahead of a batch on a session of its own: only what it changes, only where that helps, at no risk."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.prefetch import gain, prefetch
from replica_cli.applier.prefetch.prefetch import LEAST_EVENTS, Prefetch
from replica_cli.core.errors import SecondaryError
from replica_cli.core.settings import Batching
from replica_cli.mysql.session import open_connection_ids
from replica_cli.runtime.secondary_sessions import open_ahead
from replica_cli.worker import streaming
from tests.engine.applier.harness import INSTANCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import Transaction
    from replica_cli.core.settings import Server, Settings
    from replica_cli.mysql.session import Row, Session
    from tests.engine.applier.harness import Harness

ROWS = 400


class Given:
    """The prefetches that streams made, and the batches that they were given, which go no further."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool = False) -> None:
        self.batches: list[tuple[Sequence[Transaction], Definitions]] = []
        self.made: list[Prefetch] = []
        take = Prefetch.take

        def taken(made: Prefetch, run: Sequence[Transaction], definitions: Definitions) -> None:
            self.made.append(made)
            self.batches.append((run, definitions))
            if goes_on:
                take(made, run, definitions)

        monkeypatch.setattr(Prefetch, "take", taken)


class Watched:
    """A session for reading ahead, and what it was asked."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.asked: list[str] = []
        self.sessions: list[Session] = []

    def __call__(self) -> Session:
        session = open_ahead(self._harness.settings, self._harness.target)
        ask = session.rows_of_each

        def asked(queries: Sequence[str]) -> list[list[Row]]:
            self.asked += queries
            return ask(queries)

        session.rows_of_each = asked  # type: ignore[method-assign]
        self.sessions.append(session)
        return session


@pytest.fixture
def filled(harness: Harness) -> Harness:
    harness.settings = replace(harness.settings, batching=Batching(transactions=10_000))
    # Of three values of `few` each index entry is found with the key alone.
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, few INT, many INT, v INT, KEY few (few), KEY many (many))")
    harness.on_both(f"INSERT INTO t VALUES {', '.join(f'({n}, {n % 3}, {n}, 0)' for n in range(ROWS))}")
    harness.begin_here()
    return harness


def _change(harness: Harness, rows: int) -> None:
    harness.source.begin()
    for number in range(rows):
        harness.on_primary(f"UPDATE t SET few = few + 1, many = many + 1000 WHERE id = {number}")
    harness.source.commit()


def _reads(harness: Harness, name: str) -> int:
    return int(str(harness.rows(f"SHOW GLOBAL STATUS LIKE 'Handler_read_{name}'")[0][1]))


def test_what_a_batch_changes_is_read_and_nothing_else(filled: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch)
    _change(filled, ROWS)
    filled.stream()
    filled.assert_equal()
    run, definitions = given.batches[-1]
    monkeypatch.undo()
    monkeypatch.setattr(prefetch, "_MOST_ROWS", 30)
    monkeypatch.setattr(gain, "_READS_OFF", -1.0)
    watched = Watched(filled)
    ahead = Prefetch(watched, filled.settings.selection, instance=INSTANCE)
    ahead.is_on = True
    before = {name: _reads(filled, name) for name in ("rnd_next", "next", "key")}
    ahead.take(run, definitions)
    # Nothing is applied meanwhile: it stays where it is, so far ahead.
    wait_until(lambda: ahead.rows >= 30 and ahead.is_resting)
    assert ahead.rows == 30
    ahead.stop()
    assert {query.partition(" FROM ")[0] for query in watched.asked} == {"SELECT COUNT(*)"}
    assert len(watched.asked) == 3 * 3
    # An entry for each row before, and two in each of the indexes: no scan, and no walk over equal values.
    assert _reads(filled, "next") - before["next"] < 400
    assert 90 <= _reads(filled, "key") - before["key"] < 500
    ids = open_connection_ids(filled.target)
    assert not {session.connection_id for session in watched.sessions} & set(ids)


def test_nothing_is_read_ahead_of_what_is_in_memory(filled: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch, goes_on=True)
    _change(filled, ROWS)
    filled.stream()
    filled.assert_equal()
    assert given.made
    assert all(made.rows == 0 for made in given.made)


def test_small_batches_open_no_session(filled: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Settings, __: Server) -> Session:
        raise AssertionError("a session was opened")

    monkeypatch.setattr(streaming, "open_ahead", refuse)
    _change(filled, LEAST_EVENTS - 1)
    filled.stream()
    filled.assert_equal()


def test_a_small_batch_ends_the_reading_for_the_batch_before(filled: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch)
    _change(filled, ROWS)
    filled.stream()
    run, definitions = given.batches[-1]
    monkeypatch.undo()
    # As if rows of other batches were applied all the time.
    monkeypatch.setattr(prefetch, "_IDLE_POLLS", 1_000_000)
    counts, looks = prefetch._counts, list["Session"]()

    def counted(session: Session) -> prefetch._Counts:
        looks.append(session)
        return counts(session)

    monkeypatch.setattr(prefetch, "_counts", counted)
    ahead = Prefetch(Watched(filled), filled.settings.selection, instance=INSTANCE)
    ahead.take(run, definitions)
    wait_until(lambda: bool(looks))
    for _ in range(20):
        ahead.take([], definitions)
    wait_until(lambda: ahead.is_resting)
    # One when a large batch begins. The next would be after a quarter of a second.
    assert len(looks) <= 2
    ahead.stop()


def test_a_session_that_fails_ends_nothing(
    filled: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Settings, __: Server) -> Session:
        raise SecondaryError("too many connections")

    caplog.set_level(logging.DEBUG, "replica_cli.applier.prefetch.prefetch")
    monkeypatch.setattr(streaming, "open_ahead", refuse)
    _change(filled, ROWS)
    filled.stream()
    filled.assert_equal()
    assert [r.getMessage() for r in caplog.records if r.name.endswith("prefetch")] == [
        f"{INSTANCE}: nothing is read ahead any more: too many connections"
    ]


def test_a_query_that_fails_ends_nothing(filled: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Given(monkeypatch)
    _change(filled, ROWS)
    filled.stream()
    monkeypatch.undo()
    monkeypatch.setattr(gain, "_READS_OFF", -1.0)
    run, definitions = given.batches[-1]
    filled.on_secondary("RENAME TABLE t TO other")
    watched = Watched(filled)
    ahead = Prefetch(watched, filled.settings.selection, instance=INSTANCE)
    ahead.is_on = True
    ahead.take(run, definitions)
    wait_until(lambda: ahead.is_over)
    ahead.take(run, definitions)
    assert len(watched.sessions) == 1
    ahead.stop()
