from __future__ import annotations

import pytest

from replica_cli.core.table import Column, Index, IndexColumn, TableDefinition, TableName
from replica_cli.sqlbuilder.rows.chunks import (
    ColumnRefused,
    KeyPart,
    PagingKey,
    after,
    both,
    boundary_query,
    join_literals,
    lines_query,
    paging_key,
    split_literals,
    up_to,
    value_expression,
)

NAME = TableName("shop", "ord`ers")


def column(name: str, kind: str = "int", *, nullable: bool = False, **facts: str) -> Column:
    return Column(name, kind, facts.pop("column_type", kind), is_nullable=nullable, **facts)  # type: ignore[arg-type]


def table(*columns: Column, indexes: tuple[Index, ...] = ()) -> TableDefinition:
    return TableDefinition(NAME, "InnoDB", "utf8mb4_general_ci", columns, indexes)


def index(name: str, *columns: IndexColumn, unique: bool = True, visible: bool = True) -> Index:
    return Index(name, unique, columns, is_visible=visible)


def key(*names: str, descending: str = "") -> PagingKey:
    return PagingKey("PRIMARY", tuple(KeyPart(column(n), n == descending) for n in names))


@pytest.mark.parametrize(
    ("names", "literals", "expected"),
    [
        (("a",), ("1",), "`a` > 1"),
        (("a", "b"), ("1", "2"), "`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND `b` > 2))"),
        (
            ("a", "b", "c"),
            ("1", "2", "3"),
            "`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND (`b` > 2 OR (`b` = 2 AND `c` > 3))))",
        ),
    ],
)
def test_after_is_written_out(names: tuple[str, ...], literals: tuple[str, ...], expected: str) -> None:
    assert after(key(*names), literals) == expected


def test_up_to_includes_the_key() -> None:
    assert up_to(key("a"), ("1",)) == "`a` <= 1"
    assert up_to(key("a", "b"), ("1", "2")) == "`a` <= 1 AND (`a` < 1 OR (`a` = 1 AND `b` <= 2))"


def test_a_descending_part_turns_its_signs_round() -> None:
    parts = key("a", "b", descending="b")
    assert after(parts, ("1", "2")) == "`a` >= 1 AND (`a` > 1 OR (`a` = 1 AND `b` < 2))"
    assert up_to(parts, ("1", "2")) == "`a` <= 1 AND (`a` < 1 OR (`a` = 1 AND `b` >= 2))"
    assert "ORDER BY `a`, `b` DESC LIMIT 9, 1" in boundary_query(NAME, parts, "", 9)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns"):
        after(key("a", "b"), ("1",))


def test_literals_survive_being_kept() -> None:
    literals = ("1", "_utf8mb4 x'2C20'", "'2020-01-01 00:00:00'", "('0.1'+0e0)")
    assert split_literals(join_literals(literals)) == literals


def test_the_primary_key_comes_before_other_unique_keys() -> None:
    definition = table(
        column("a"),
        column("b"),
        indexes=(index("u", IndexColumn("b")), index("PRIMARY", IndexColumn("a"))),
    )
    found = paging_key(definition)
    assert found is not None
    assert (found.index, found.names) == ("PRIMARY", ("a",))


@pytest.mark.parametrize(
    "unusable",
    [
        index("u", IndexColumn("a"), unique=False),
        index("u", IndexColumn("a"), visible=False),
        index("u", IndexColumn("n")),
        index("u", IndexColumn("s", prefix_length=4)),
        index("u", IndexColumn("a"), IndexColumn("", expression="lower(s)")),
        index("u", IndexColumn("f")),
        Index("u", True, (IndexColumn("a"),), kind="HASH"),
    ],
)
def test_what_cannot_order_every_row_is_no_paging_key(unusable: Index) -> None:
    columns = (
        column("a"),
        column("n", nullable=True),
        column("s", "varchar"),
        column("f", "float", column_type="float(7,3)"),
    )
    assert paging_key(table(*columns, indexes=(unusable,))) is None


def test_generated_columns_are_not_written_and_null_is_a_word() -> None:
    definition = table(column("a"), column("b", nullable=True), column("g", generation_expression="a+1"))
    query = lines_query(definition, key("a"), both("", "`a` > 1"))
    assert "IFNULL(CAST(`b` AS CHAR(400) CHARACTER SET latin1),'NULL')" in query
    assert "`g`" not in query
    assert query.endswith("FROM `shop`.`ord``ers` FORCE INDEX (`PRIMARY`) WHERE `a` > 1")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ColumnRefused, match="hologram"):
        value_expression(column("a", "hologram"))
