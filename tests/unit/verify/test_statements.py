"""Of which tables a logged statement may have changed rows."""

from __future__ import annotations

import pytest

from replica_cli.core.events import SessionContext, Statement
from replica_cli.core.names import TableName
from replica_cli.mysql.facts import ServerFacts
from replica_cli.sqlbuilder.rows.row_hashes import HashedTable
from replica_cli.verify.cascades import Cascades, CascadeTable
from replica_cli.verify.statements import LoggedStatements
from replica_cli.verify.tables import VerifiedTable

_ITEM, _CHILD, _PARENT = (TableName("shop", name) for name in ("item", "child", "parent"))
_OTHER = TableName("other", "item")


def _table(name: TableName, *parents: TableName) -> VerifiedTable:
    hashed = HashedTable(name, "", None, ())
    cascades = Cascades(tuple(CascadeTable(p, p, (), ("id",)) for p in (name, *parents)) if parents else ())
    return VerifiedTable(name, hashed, hashed, hashed, (), cascades)


def _concerned(text: str, schema: str = "shop") -> set[TableName]:
    facts = ServerFacts(True, (10, 11, 6), "10.11.6-MariaDB", 1, "server-id:1", {})
    statements = LoggedStatements((_table(_ITEM), _table(_CHILD, _PARENT), _table(_OTHER)), facts)
    return set(statements.tables_of(Statement(text.encode(), schema, SessionContext())))


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("ALTER TABLE item ADD COLUMN a INT", {_ITEM}),
        ("TRUNCATE shop.ITEM", {_ITEM}),
        ("RENAME TABLE item TO was, other.item TO item", {_ITEM, _OTHER}),
        ("DROP TABLE item, parent", {_ITEM, _CHILD}),
        ("CREATE TABLE elsewhere (id INT)", set()),
        ("DROP DATABASE other", {_OTHER}),
        ("CREATE DATABASE other", set()),
        ("SAVEPOINT a", set()),
        ("UPDATE unknown SET a = 1", {_ITEM, _CHILD, _OTHER}),
    ],
)
def test_a_statement_concerns_the_tables_that_it_names_and_those_that_cascade_from_them(
    text: str, tables: set[TableName]
) -> None:
    assert _concerned(text) == tables


def test_text_that_is_not_utf8_concerns_all() -> None:
    facts = ServerFacts(False, (9, 7, 0), "9.7.0", 1, "server-id:1", {})
    statements = LoggedStatements((_table(_ITEM),), facts)
    assert statements.tables_of(Statement(b"ALTER TABLE \xff", "shop", SessionContext())) == {_ITEM}
