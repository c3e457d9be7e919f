"""What a definition says of itself."""

from __future__ import annotations

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
