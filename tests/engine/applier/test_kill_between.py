"""A process that is killed between two writes of its state: the next one goes on as if the first had finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine.applier.killer import KilledError

from replica_cli.applier import progress
from replica_cli.applier.applier import Applier
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.tables import TableRecord
from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from engine.applier.bench import Bench


def killed(*_: object) -> None:
    raise KilledError("killed")


@pytest.mark.parametrize("change", ["INSERT INTO t VALUES (2)", "ALTER TABLE t ADD w INT DEFAULT 3"])
def test_a_window_outlives_a_position_that_is_not_saved(
    bench: Bench, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a key a row that is written twice is there twice.
    bench.on_both("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
    bench.begin_here()
    bench.on_primary(change)
    bench.on_secondary(change)  # as the copy, which begins here, brings it
    here = bench.here()
    bench.save_window("t", here, here)
    with monkeypatch.context() as patched:
        # Nothing of the stream is worth a commit before the process dies.
        patched.setattr(progress, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Applier, "save_position", killed)
        with pytest.raises(KilledError):
            bench.stream()
    bench.stream()
    bench.assert_equal()
    assert bench.tables.load() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["table", "schema"])
def test_a_table_set_aside_is_so_until_the_position_is_behind_its_drop(
    bench: Bench,
    whole: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench.on_both("CREATE TABLE q (id INT PRIMARY KEY)")
    here = bench.begin_here()
    bench.tables.save(TableRecord(bench.name("q"), TableState.QUARANTINED, start=here, reason="a test"))
    again = f"CREATE DATABASE `{bench.schema}` {bench.default_charset}"
    drop = (f"DROP DATABASE `{bench.schema}`", again, f"USE `{bench.schema}`") if whole else ("DROP TABLE q",)
    bench.on_primary(
        "INSERT INTO q VALUES (1)", *drop, "CREATE TABLE q (id INT PRIMARY KEY)", "INSERT INTO q VALUES (2)"
    )
    with monkeypatch.context() as patched:
        patched.setattr(progress, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Writer, "commit", killed)
        with pytest.raises(KilledError):
            bench.stream()
    assert bench.saved().position.order == here.order
    bench.stream()
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_what_a_quarantined_merge_table_takes_in_is_set_aside_too(bench: Bench) -> None:
    bench.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    bench.begin_here()
    bench.on_primary(
        "CREATE TABLE one (id INT) ENGINE=MyISAM", "CREATE TABLE two (id INT) ENGINE=MyISAM",
        "CREATE TABLE whole (id INT) ENGINE=MERGE UNION=(one) INSERT_METHOD=LAST",
    )  # fmt: skip
    bench.stream()
    assert set(bench.tables.load()) == {bench.name("one"), bench.name("whole")}
    bench.on_primary("ALTER TABLE whole UNION=(one, two)", "INSERT INTO whole VALUES (1)")
    bench.stream()
    assert set(bench.tables.load()) == {bench.name(t) for t in ("one", "two", "whole")}


def test_a_copy_that_is_asked_for_while_a_window_ends_is_not_forgotten(bench: Bench) -> None:
    bench.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    here = bench.begin_here()
    bench.on_primary("INSERT INTO t VALUES (1)")
    bench.save_window("t", here, bench.here())
    with bench.open() as sessions:
        streaming = bench.streaming(sessions)
        asked = TableRecord(bench.name("t"), TableState.PENDING, reason="a test")
        bench.tables.save(asked)
        streaming.run(until_caught_up=True)
    assert bench.tables.load() == {asked.name: asked}
