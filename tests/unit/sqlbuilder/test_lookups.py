"""What is read ahead of a change: its row, and its entry in each index that it touches."""

from __future__ import annotations

from replica_cli.core.table import Column, Index, IndexColumn, TableDefinition, TableName
from replica_cli.sqlbuilder.rows.lookups import Lookup, lookup_of, lookup_queries

COLUMNS = (
    Column("id", "int", "int"),
    Column("a`", "int", "int"),
    Column("b", "int", "int"),
    Column("j", "json", "json"),
)
HEAD = "SELECT COUNT(*) FROM `s`.`t` FORCE INDEX"


def _index(name: str, *columns: str, prefix: int | None = None, kind: str = "BTREE") -> Index:
    return Index(name, name == "PRIMARY", tuple(IndexColumn(c, prefix) for c in columns), kind)


def _lookup(*indexes: Index, is_update: bool = True, engine: str = "InnoDB") -> Lookup | None:
    definition = TableDefinition(TableName("s", "t"), engine, "", COLUMNS, indexes)
    return lookup_of(definition, is_update=is_update)


def test_an_update_is_looked_up_in_the_indexes_that_it_changes() -> None:
    lookup = _lookup(_index("PRIMARY", "id"), _index("x", "a`"), _index("y", "b", "a`"))
    assert lookup is not None
    assert lookup.names == ("id", "a`", "b")
    found = lookup_queries(lookup, [((b"1", b"2", b"3"), (b"1", b"2", b"NULL"))])
    assert found == [
        f"{HEAD} (`PRIMARY`) WHERE (`id`<=>1)",
        f"{HEAD} (`y`) WHERE (`b`<=>NULL AND `a```<=>2 AND `id`<=>1) OR (`b`<=>3 AND `a```<=>2 AND `id`<=>1)",
    ]


def test_a_changed_key_changes_every_index() -> None:
    lookup = _lookup(_index("PRIMARY", "id"), _index("x", "b"))
    assert lookup is not None
    assert lookup_queries(lookup, [((b"2", b"5"), (b"1", b"5"))]) == [
        f"{HEAD} (`PRIMARY`) WHERE (`id`<=>2) OR (`id`<=>1)",
        f"{HEAD} (`x`) WHERE (`b`<=>5 AND `id`<=>1) OR (`b`<=>5 AND `id`<=>2)",
    ]


def test_rows_that_come_or_go_are_in_every_index() -> None:
    lookup = _lookup(_index("PRIMARY", "id"), _index("x", "b"), is_update=False)
    assert lookup is not None
    assert lookup_queries(lookup, [((b"1", b"5"), (b"1", b"5")), ((b"2", b"5"), (b"2", b"5"))]) == [
        f"{HEAD} (`PRIMARY`) WHERE (`id`<=>1) OR (`id`<=>2)",
        f"{HEAD} (`x`) WHERE (`b`<=>5 AND `id`<=>1) OR (`b`<=>5 AND `id`<=>2)",
    ]


def test_what_no_literal_finds_is_left_out() -> None:
    key = _index("PRIMARY", "id")
    assert _lookup(_index("x", "a`")) is None
    assert _lookup(_index("PRIMARY", "id", prefix=3)) is None
    assert _lookup(key, engine="MyISAM") is None
    lookup = _lookup(
        key, _index("p", "b", prefix=3), _index("f", "b", kind="FULLTEXT"), _index("j", "j"), _index("e", "")
    )
    assert lookup is not None
    assert lookup.indexes == ()
