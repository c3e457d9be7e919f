"""Which tables wait for a comparison, and what they were before."""

from __future__ import annotations

from dataclasses import replace

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.core.table import Column, TableDefinition, TableName
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG

Definitions = dict[TableName, TableDefinition | None]
T, U, W = (TableName("s", name) for name in "tuw")


def definition(name: TableName) -> TableDefinition:
    return TableDefinition(name, "InnoDB", "utf8mb4_bin", ())


def after(*statements: tuple[str, Definitions]) -> Definitions:
    altered = AlteredTables()
    for text, before in statements:
        altered.note(parse_statement(text, "s", CATALOG), before)
    return dict(altered.before)


def test_the_first_definition_counts() -> None:
    made: tuple[str, Definitions] = ("CREATE TABLE t (id INT)", {T: None})
    assert after(made, ("ALTER TABLE t ADD v INT", {T: definition(T)})) == {T: None}
    assert after(("ALTER TABLE t ADD v INT", {T: definition(T)})) == {T: definition(T)}


def test_a_table_keeps_its_first_definition_under_another_name() -> None:
    made: tuple[str, Definitions] = ("CREATE TABLE t (id INT)", {T: None})
    assert after(made, ("RENAME TABLE t TO u", {}), ("RENAME TABLE u TO w", {})) == {W: None}
    assert after(("ALTER TABLE t RENAME TO u, ADD v INT", {T: definition(T), U: None}))[U] == definition(T)
    renamed = ("ALTER TABLE u RENAME TO w, ADD v INT", {U: definition(U), W: None})
    assert after(made, ("RENAME TABLE t TO u", {}), renamed)[W] is None


def test_what_is_stored_before_a_rename_is_what_waits_behind_it() -> None:
    altered = AlteredTables()
    altered.note(parse_statement("CREATE TABLE t (id INT)", "s", CATALOG), {T: None})
    rename = parse_statement("RENAME TABLE t TO u, u TO w, x TO y", "s", CATALOG)
    assert W in altered.to_store(rename)
    altered.note(rename, {})
    assert set(altered.before) == {W}


def test_what_was_stored_for_a_statement_that_was_not_noted_is_restored() -> None:
    altered = AlteredTables()
    stored = altered.to_store(parse_statement("CREATE TABLE t (id INT)", "s", CATALOG))
    assert altered.settled == ()
    altered.restore(stored)
    assert dict(altered.before) == {T: None}


def left(statement: str) -> tuple[str, list[str]]:
    columns = (
        Column("id", "int", "int"),
        Column("V", "varchar", "varchar(9)", charset="utf8mb4"),
        Column("w", "int", "int"),
    )
    found = after((statement, {T: replace(definition(T), columns=columns)}))[T]
    assert found is not None
    return found.collation, [c.name for c in found.columns]


def test_what_a_statement_defines_again_is_not_as_it_was() -> None:
    assert left("ALTER TABLE t ADD x INT, ADD KEY (v)") == ("utf8mb4_bin", ["id", "V", "w"])
    assert left("ALTER TABLE t MODIFY COLUMN `v` INT, CHANGE COLUMN IF EXISTS w y INT") == ("utf8mb4_bin", ["id"])
    assert left("ALTER TABLE t CONVERT TO CHARACTER SET DEFAULT") == ("", ["id", "w"])
    assert left("CREATE INDEX v ON t (v)") == ("utf8mb4_bin", ["id", "V", "w"])


def test_what_changes_no_definition() -> None:
    assert after(("TRUNCATE t", {}), ("DROP TABLE t", {}), ("RENAME TABLE t TO u", {})) == {}
