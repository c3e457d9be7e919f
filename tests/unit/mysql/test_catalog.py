"""Which name a table has that a server spells in another way, and which errors leave a table out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.names import TableName
from replica_cli.mysql.catalog.table_definitions import read_columns, read_tables, show_creates
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, Remedy, ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Row, Session

ITEMS, SALES = TableName("shop", "items"), TableName("shop", "sales")
REFUSED = ServerError(1696, "corrupt", "db1", remedy=Remedy.FATAL)
LOST = ServerError(2013, "lost", "db1", remedy=Remedy.RECONNECT)


class Server:
    """A server with two tables, whose names it spells in lower case whatever the question spells."""

    is_mariadb, version_text = True, "10.11.6-MariaDB"

    def __init__(self, *, folds_names: bool = False) -> None:
        self.folds_names = folds_names
        self.errors: dict[str, ServerError] = {}  # by a part of the statement

    def escape(self, text: str) -> str:
        return f"'{text}'"

    def execute(self, _sql: str) -> int:
        return 0

    def rows_of_each(self, queries: Sequence[str]) -> list[list[Row]]:
        return [self.rows(query) for query in queries]

    def rows(self, sql: str, *arguments: str) -> list[Row]:
        text = " ".join([sql, *arguments])
        for part, error in self.errors.items():
            if part in text:
                raise error
        if "@@lower_case_table_names" in sql:
            return [(int(self.folds_names),)]
        for name in (ITEMS, SALES):
            if self._asks_for(name, text):
                return self._answer(name, sql)
        return []

    def _asks_for(self, name: TableName, text: str) -> bool:
        text = text.lower() if self.folds_names else text
        return f"'{name.table}'" in text or f"`{name.table}`" in text or text.endswith(f" {name.table}")

    def _answer(self, name: TableName, sql: str) -> list[Row]:
        if sql.startswith("SHOW CREATE"):
            return [
                (name.table, f"CREATE TABLE `{name.table}` (`id` int, CONSTRAINT `f` FOREIGN KEY (`id`) …)".encode())
            ]
        if "information_schema.tables" in sql:
            return [(name.schema, name.table, "BASE TABLE", "InnoDB", "utf8mb4_bin", 1, 1, "", "")]
        if "information_schema.columns" in sql:
            return [
                (
                    name.schema,
                    name.table,
                    "id",
                    "int",
                    "int(11)",
                    "NO",
                    None,
                    None,
                    None,
                    "",
                    "",
                    None,
                    None,
                    10,
                    0,
                    None,
                    "",
                    None,
                    1,
                )
            ]
        return []


@pytest.mark.parametrize("read", [read_tables, read_columns])
def test_a_table_has_the_name_that_was_asked_for_if_the_server_folds_names(
    read: Callable[[Session, Sequence[TableName]], dict[TableName, TableDefinition]],
) -> None:
    spelled = TableName("shop", "Items")
    tables = read(cast("Session", Server(folds_names=True)), [spelled, SALES])
    assert {name: table.name for name, table in tables.items()} == {spelled: spelled, SALES: SALES}


@pytest.mark.parametrize("read", [read_tables, read_columns])
def test_a_table_of_another_spelling_is_another_table_if_the_server_tells_them_apart(
    read: Callable[[Session, Sequence[TableName]], dict[TableName, TableDefinition]],
) -> None:
    assert read(cast("Session", Server()), [TableName("shop", "Items"), SALES]).keys() == {SALES}


@pytest.mark.parametrize("part", ["SHOW CREATE TABLE `shop`.`items`", "shop items"], ids=["text", "keys"])
def test_a_table_that_cannot_be_shown_is_left_out(part: str) -> None:
    server = Server()
    for error in (REFUSED, ServerError(ER_NO_SUCH_TABLE, "gone", "db1", remedy=Remedy.FATAL)):
        server.errors = {part: error}
        assert show_creates(cast("Session", server), [ITEMS, SALES]).keys() == {SALES}


@pytest.mark.parametrize("part", ["SHOW CREATE TABLE `shop`.`items`", "shop items"], ids=["text", "keys"])
def test_a_lost_connection_leaves_no_table_out(part: str) -> None:
    server = Server()
    server.errors = {part: LOST}
    with pytest.raises(ServerError, match="lost"):
        show_creates(cast("Session", server), [ITEMS, SALES])
