"""Which statements end a difference of two tables, from their definitions alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.names import TableName
from replica_cli.core.selection import Selection
from replica_cli.core.table import Column, ForeignKey, Index, IndexColumn, TableDefinition
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.drift.repair import Sources, repair_statements

ITEMS = TableName("shop", "items")
SELECTION = Selection((("shop", "shop"),))
ID = Column("id", "int", "int(11)", is_nullable=False)
C = Column("c", "int", "int(11)")
WIDE = Column("c", "bigint", "bigint(20)")
TABLE = TableDefinition(ITEMS, "InnoDB", "utf8mb4_bin", (ID, C), (Index("PRIMARY", True, (IndexColumn("id"),)),))
OF_TABLE = replace(TABLE, checks=(("c", "`c` > 0"),))
OF_COLUMN = replace(TABLE, checks=(("c", "`c` <> 7"),), column_checks=frozenset({"c"}))


def text(*, column_check: str = "", table_check: str = "") -> str:
    check = f",\n  CONSTRAINT `c` CHECK ({table_check})" if table_check else ""
    of_column = f" CHECK ({column_check})" if column_check else ""
    return (
        f"CREATE TABLE `items` (\n  `id` int(11) NOT NULL,\n  `c` int(11) DEFAULT NULL{of_column},\n"
        f"  PRIMARY KEY (`id`){check}\n) ENGINE=InnoDB"
    )


def repaired(primary: TableDefinition, secondary: TableDefinition, create: str) -> list[str]:
    """Return the lines of the ALTER TABLE, without its first one."""
    catalogs = {ITEMS: primary}, {ITEMS: secondary}
    differences = compare_catalogs(*catalogs, SELECTION)
    statements = repair_statements(differences, Sources(*catalogs, {ITEMS: create}, SELECTION))
    alter = next(s for s in statements if "ALTER TABLE" in s)
    return [line.strip().rstrip(",") for line in alter.splitlines() if not line.startswith("--")][1:]


@pytest.mark.parametrize(
    ("primary", "secondary", "create", "clauses"),
    [
        pytest.param(TABLE, OF_TABLE, text(), ["DROP CONSTRAINT `c`"], id="extra-of-table"),
        pytest.param(TABLE, OF_COLUMN, text(), ["MODIFY COLUMN `c` int(11) DEFAULT NULL"], id="extra-of-column"),
        pytest.param(
            OF_COLUMN, OF_TABLE, text(column_check="`c` <> 7"),
            ["DROP CONSTRAINT `c`", "MODIFY COLUMN `c` int(11) DEFAULT NULL CHECK (`c` <> 7)"], id="column-for-table",
        ),
        pytest.param(
            OF_TABLE, OF_COLUMN, text(table_check="`c` > 0"),
            ["MODIFY COLUMN `c` int(11) DEFAULT NULL", "ADD CONSTRAINT `c` CHECK (`c` > 0)"], id="table-for-column",
        ),
        pytest.param(
            OF_TABLE, replace(OF_TABLE, checks=(("c", "`c` > 1"),)), text(table_check="`c` > 0"),
            ["DROP CONSTRAINT `c`", "ADD CONSTRAINT `c` CHECK (`c` > 0)"], id="table-for-table",
        ),
    ],
)  # fmt: skip
def test_a_check_with_the_name_of_a_column_is_replaced_where_it_belongs(
    primary: TableDefinition, secondary: TableDefinition, create: str, clauses: list[str]
) -> None:
    assert repaired(primary, secondary, create) == clauses


def statements(
    primary: dict[TableName, TableDefinition],
    secondary: dict[TableName, TableDefinition],
    texts: dict[TableName, str],
    selection: Selection = SELECTION,
) -> list[str]:
    differences = compare_catalogs(primary, secondary, selection)
    return list(repair_statements(differences, Sources(primary, secondary, texts, selection)))


def test_equal_tables_need_nothing() -> None:
    assert statements({ITEMS: TABLE}, {ITEMS: TABLE}, {}) == []


def test_a_missing_table_is_made_in_the_schema_of_the_secondary_and_copied() -> None:
    made = statements({ITEMS: TABLE}, {}, {ITEMS: text()}, Selection((("shop", "store"),)))
    assert made[0] == "CREATE DATABASE IF NOT EXISTS `store`"
    assert made[1].startswith(
        "-- then copy its rows: `replica transfer --table shop.items`\nCREATE TABLE `store`.`items`"
    )


def test_an_extra_table_is_a_comment_whatever_its_name_holds() -> None:
    odd = TableName("shop", "a\nDROP TABLE b")
    (comment,) = statements({}, {odd: replace(TABLE, name=odd)}, {})
    assert comment.startswith("-- only on the secondary: DROP TABLE ")
    assert "\n" not in comment


def test_triggers_and_foreign_keys_go_first_and_foreign_keys_come_last() -> None:
    key = ForeignKey("f", ("c",), ITEMS, ("id",), "RESTRICT", "CASCADE")
    foreign_key = "CONSTRAINT `f` FOREIGN KEY (`c`) REFERENCES `items` (`id`) ON DELETE CASCADE"
    create = text().replace("  PRIMARY KEY (`id`)", f"  PRIMARY KEY (`id`),\n  {foreign_key}")
    primary = replace(TABLE, foreign_keys=(key,))
    secondary = replace(TABLE, foreign_keys=(replace(key, on_delete="RESTRICT"),), triggers=("t",), columns=(ID, WIDE))
    made = statements({ITEMS: primary}, {ITEMS: secondary}, {ITEMS: create})
    assert sorted(made[:2]) == ["ALTER TABLE `shop`.`items` DROP FOREIGN KEY `f`", "DROP TRIGGER `shop`.`t`"]
    assert made[2] == "SET SESSION foreign_key_checks = 0"
    assert made[3].splitlines()[-1] == "  MODIFY COLUMN `c` int(11) DEFAULT NULL"
    assert made[4] == "SET SESSION foreign_key_checks = 1"
    assert made[5].startswith("ALTER TABLE `shop`.`items` ADD CONSTRAINT `f` FOREIGN KEY (`c`)")
    assert len(made) == 6


def test_a_trigger_alone_needs_no_definition_of_the_primary() -> None:
    assert statements({ITEMS: TABLE}, {ITEMS: replace(TABLE, triggers=("t",))}, {}) == ["DROP TRIGGER `shop`.`t`"]


def test_a_column_of_another_kind_is_made_again_with_its_indexes() -> None:
    create = text().replace("`c` int(11) DEFAULT NULL", "`c` int(11) GENERATED ALWAYS AS (`id` + 1) STORED")
    create = create.replace("  PRIMARY KEY (`id`)", "  PRIMARY KEY (`id`),\n  KEY `k` (`c`)")
    key = Index("k", False, (IndexColumn("c"),))
    computed = replace(C, generation_expression="`id` + 1", extra="STORED GENERATED")
    primary = replace(TABLE, columns=(ID, computed), indexes=(*TABLE.indexes, key))
    secondary = replace(TABLE, indexes=primary.indexes)
    assert repaired(primary, secondary, create) == [
        "DROP INDEX `k`",
        "DROP COLUMN `c`",
        "ADD COLUMN `c` int(11) GENERATED ALWAYS AS (`id` + 1) STORED AFTER `id`",
        "ADD KEY `k` (`c`)",
    ]


def test_a_missing_column_is_added_at_its_position_and_the_table_is_copied() -> None:
    (alter,) = statements({ITEMS: TABLE}, {ITEMS: replace(TABLE, columns=(ID,))}, {ITEMS: text()})
    comment, *lines = alter.splitlines()
    assert comment == "-- then copy its rows: `replica transfer --table shop.items`"
    assert lines == ["ALTER TABLE `shop`.`items`", "  ADD COLUMN `c` int(11) DEFAULT NULL AFTER `id`"]


@pytest.mark.parametrize(
    ("secondary", "warning"),
    [
        ((ID, C, replace(C, name="more")), "-- the values of column more are lost"),
        ((ID, WIDE), "-- column c: values that do not fit int are refused, cut or changed"),
        ((ID, replace(C, data_type="smallint", column_type="smallint(6)")), ""),
        ((ID, replace(C, is_nullable=False)), ""),
    ],
)
def test_what_may_lose_values_is_announced(secondary: tuple[Column, ...], warning: str) -> None:
    made = statements({ITEMS: TABLE}, {ITEMS: replace(TABLE, columns=secondary)}, {ITEMS: text()})
    comments = [line for statement in made for line in statement.splitlines() if line.startswith("--")]
    assert comments == ([warning] if warning else [])


def test_engine_and_collation_are_changed_before_the_columns() -> None:
    secondary = replace(TABLE, engine="MyISAM", collation="latin1_bin", columns=(ID, WIDE))
    made = statements({ITEMS: TABLE}, {ITEMS: secondary}, {ITEMS: text()})
    assert [s.splitlines()[0] for s in made[1:3]] == [
        "ALTER TABLE `shop`.`items` ENGINE = InnoDB",
        "ALTER TABLE `shop`.`items` COLLATE = utf8mb4_bin",
    ]
    assert "MODIFY COLUMN" in made[3]


def test_an_index_has_the_name_of_the_secondary_when_it_is_dropped() -> None:
    ours, theirs = (Index(name, False, (IndexColumn(column),)) for name, column in (("k", "c"), ("K", "id")))
    create = text().replace("  PRIMARY KEY (`id`)", "  PRIMARY KEY (`id`),\n  KEY `k` (`c`)")
    primary, secondary = (replace(TABLE, indexes=(*TABLE.indexes, each)) for each in (ours, theirs))
    assert repaired(primary, secondary, create) == ["DROP INDEX `K`", "ADD KEY `k` (`c`)"]
