"""Properties of a table's definition."""

from __future__ import annotations

from dataclasses import replace

from replica_cli.core.table import Column, Index, IndexColumn, TableDefinition, TableName


def test_members_as_servers_escape_them() -> None:
    column = Column("e", "enum", r"enum('it''s','a,b','c\\d','x\ny','')")
    assert column.members == ("it's", "a,b", "c\\d", "x\ny", "")


def test_hashes_of_long_unique_keys_are_logged_and_never_written() -> None:
    columns = (Column("id", "int", "int(11)"), Column("b", "text", "text"))
    indexes = (
        Index("PRIMARY", is_unique=True, columns=(IndexColumn("id"),)),
        Index("b", is_unique=True, columns=(IndexColumn("b"),), kind="HASH"),
    )
    table = TableDefinition(TableName("s", "t"), "InnoDB", "utf8mb4_bin", columns, indexes)
    assert [c.name for c in table.logged_columns] == ["id", "b", "DB_ROW_HASH_1"]
    assert table.logged_columns[-1].is_generated
    assert table.written_columns == columns
    memory = TableDefinition(TableName("s", "t"), "MEMORY", "utf8mb4_bin", columns, indexes)
    assert memory.logged_columns == columns


def test_row_versions_bring_their_period_along() -> None:
    base = TableDefinition(TableName("s", "t"), "InnoDB", "", (Column("id", "int", "int"),))
    hidden = replace(base, kind="SYSTEM VERSIONED")
    assert [c.name for c in base.logged_columns] == [c.name for c in base.with_history().columns] == ["id"]
    assert [c.name for c in hidden.logged_columns] == ["id", "row_start", "row_end"]
    assert [c.name for c in hidden.logged_without_period] == [c.name for c in hidden.written_columns] == ["id"]
    assert [c.name for c in hidden.with_history().written_columns] == ["id", "row_start", "row_end"]
    period = [
        Column(name, "timestamp", "timestamp(6)", generation_expression=f"ROW {word}")
        for name, word in (("e", "END"), ("s", "START"))
    ]
    named = replace(hidden, columns=(*base.columns, *period))
    assert [c.name for c in named.logged_columns] == ["id", "e", "s"]
    assert [c.extra for c in named.with_history("2106").written_columns] == ["", "ROW END", "ROW START"]


def test_the_hashes_of_long_keys_come_after_the_period() -> None:
    index = Index("u", is_unique=True, columns=(IndexColumn("t"),), kind="HASH")
    table = TableDefinition(
        TableName("s", "t"), "InnoDB", "", (Column("t", "text", "text"),), (index,), kind="SYSTEM VERSIONED"
    )
    assert [c.name for c in table.logged_columns] == ["t", "row_start", "row_end", "DB_ROW_HASH_1"]
