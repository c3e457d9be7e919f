"""Which indexes are made after the rows are copied."""

from __future__ import annotations

import pytest

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.definitions.create_statements import create_statements

NAME = TableName("shop", "t")
COLUMNS = "`id` int NOT NULL AUTO_INCREMENT, `a` varchar(99), `g` point NOT NULL, PRIMARY KEY (`id`)"


def _statements(*keys: str, tail: str = "ENGINE=InnoDB", columns: str = COLUMNS) -> tuple[str, tuple[str, ...]]:
    text = f"CREATE TABLE `t` ({', '.join((columns, *keys))}) {tail}"
    found = create_statements(text, NAME, source=NAME, route=lambda n: n)
    assert all(name in clause.replace("``", "`") for name, clause in found.deferred_keys)
    return found.create, tuple(clause for _, clause in found.deferred_keys)


def test_plain_indexes_wait_in_their_order_and_all_else_stays() -> None:
    plain = ("KEY `a` (`a`(10),`id` DESC) COMMENT 'KEY (x), y'", "KEY `b``c` (`a`) USING BTREE /*!80000 INVISIBLE */")
    others = ("UNIQUE KEY `u` (`a`)", "FULLTEXT KEY `f` (`a`)", "CONSTRAINT `c` CHECK (`id` > 0)")
    create, deferred = _statements(*others[:1], *plain, *others[1:])
    assert deferred == plain
    assert all(clause in create for clause in (*plain, *others))


@pytest.mark.parametrize(
    "keys",
    [
        ("KEY `a` (`a`)", "SPATIAL KEY `s` (`g`)"),
        ("KEY `a` (`a`)", "KEY `e` ((lower(`a`)))"),
        ("KEY `a` (`a`)", "UNIQUE KEY `e` ((cast(`a` as unsigned array)))"),
        ("KEY `a` (`a`)", "VECTOR KEY `v` (`g`)"),
    ],
    ids=["spatial", "expression", "unique expression", "vector"],
)
def test_no_key_is_deferred_if_the_order_would_change(keys: tuple[str, ...]) -> None:
    assert not _statements(*keys)[1]


def test_no_key_is_deferred_if_one_holds_the_counter() -> None:
    columns = "`k` int NOT NULL, `id` int NOT NULL AUTO_INCREMENT, PRIMARY KEY (`k`)"
    assert not _statements("KEY `id` (`id`)", "KEY `both` (`k`,`id`)", columns=columns)[1]


def test_no_key_is_deferred_in_another_engine() -> None:
    assert not _statements("KEY `a` (`a`)", tail="ENGINE=ROCKSDB")[1]


def test_a_table_that_becomes_innodb_counts_as_one() -> None:
    assert _statements("KEY `a` (`a`)", tail="ENGINE=MyISAM")[1] == ("KEY `a` (`a`)",)
