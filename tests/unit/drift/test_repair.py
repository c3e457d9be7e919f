"""Which statements end a difference of two tables, from their definitions alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.names import TableName
from replica_cli.core.selection import Selection
from replica_cli.core.table import Column, Index, IndexColumn, TableDefinition
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.drift.repair import Sources, repair_statements

ITEMS = TableName("shop", "items")
SELECTION = Selection((("shop", "shop"),))
ID = Column("id", "int", "int(11)", is_nullable=False)
C = Column("c", "int", "int(11)")
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
