"""What is kept of tables goes with them, and with no other."""

from __future__ import annotations

from replica_cli.applier.engines.table_cache import TableCache
from replica_cli.core.table import TableName
from tests.support.steps import steps_of

ONE, TWO = TableName("s", "one"), TableName("s", "two")


def filled() -> TableCache[int, str]:
    cache: TableCache[int, str] = TableCache()
    for key, (table, value) in enumerate([(ONE, "a"), (TWO, "b"), (ONE, "c")]):
        assert cache.keep(table, key, value) == value
    return cache


def test_a_table_is_forgotten_with_all_its_entries_however_it_is_spelled() -> None:
    cache = filled()
    cache.forget([TableName("S", "One"), TableName("s", "unknown")])
    assert cache.entries == {1: "b"}
    cache.keep(ONE, 0, "again")
    cache.forget([ONE])
    assert cache.entries == {1: "b"}


def test_without_names_all_are_forgotten() -> None:
    cache = filled()
    cache.forget()
    assert cache.entries == {}
    cache.forget([ONE])


def test_an_entry_that_is_replaced_is_forgotten_once() -> None:
    cache = filled()
    cache.keep(ONE, 0, "z")
    assert cache.entries[0] == "z"
    cache.forget([ONE])
    assert cache.entries == {1: "b"}


def test_its_size_is_limited() -> None:
    cache: TableCache[int, str] = TableCache()
    for number in range(25_000):
        assert cache.keep(TableName("s", f"t{number}"), number, "x") == "x"
        assert number in cache.entries
    assert len(cache.entries) <= 10_000
    assert len(cache._keys) <= 10_000


def test_one_that_does_not_trim_itself_loses_nothing_in_use() -> None:
    cache: TableCache[int, str] = TableCache(trims_itself=False)
    for number in range(25_000):
        cache.keep(TableName("s", f"t{number}"), number, "x")
    assert len(cache.entries) == 25_000
    cache.trim()
    assert cache.entries == {}


def test_forgetting_one_table_takes_no_more_steps_where_many_are_known() -> None:
    few, many = filled(), filled()
    for number in range(1_000):
        many.keep(TableName("s", f"t{number}"), number + 10, "x")
    assert steps_of(lambda: few.forget([ONE])) == steps_of(lambda: many.forget([ONE]))
