"""Which tables wait for a comparison, and what they were before."""

from __future__ import annotations

from replica_cli.applier.altered import AlteredTables
from replica_cli.core.table import TableDefinition, TableName
from replica_cli.sqlbuilder.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG

T, U, W = (TableName("s", name) for name in "tuw")


def definition(name: TableName) -> TableDefinition:
    return TableDefinition(name, "InnoDB", "utf8mb4_bin", ())


def after(*statements: tuple[str, dict[TableName, TableDefinition | None]]) -> dict[TableName, TableDefinition | None]:
    altered = AlteredTables()
    for text, before in statements:
        altered.note(parse_statement(text, "s", CATALOG), before)
    return dict(altered.before)


def test_the_first_definition_counts() -> None:
    made = ("CREATE TABLE t (id INT)", {T: None})
    assert after(made, ("ALTER TABLE t ADD v INT", {T: definition(T)})) == {T: None}
    assert after(("ALTER TABLE t ADD v INT", {T: definition(T)})) == {T: definition(T)}


def test_a_table_keeps_its_first_definition_under_another_name() -> None:
    made = ("CREATE TABLE t (id INT)", {T: None})
    assert after(made, ("RENAME TABLE t TO u", {}), ("RENAME TABLE u TO w", {})) == {W: None}
    assert after(("ALTER TABLE t RENAME TO u, ADD v INT", {T: definition(T), U: None}))[U] == definition(T)
    renamed = ("ALTER TABLE u RENAME TO w, ADD v INT", {U: definition(U), W: None})
    assert after(made, ("RENAME TABLE t TO u", {}), renamed)[W] is None


def test_what_changes_no_definition() -> None:
    assert after(("TRUNCATE t", {}), ("DROP TABLE t", {}), ("RENAME TABLE t TO u", {})) == {}
