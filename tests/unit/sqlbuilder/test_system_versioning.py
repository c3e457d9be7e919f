"""What statements and definitions say about row versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.table import Column, ForeignKey, TableDefinition, TableName
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.statements.system_versioning import last_year, why_history_differs, why_statement_refused
from replica_cli.sqlbuilder.tokens import Dialect

DIALECT = Dialect(is_mariadb=True, has_ansi_quotes=False, has_backslash_escapes=True)
TABLE = TableDefinition(TableName("d", "t"), "InnoDB", "", (Column("id", "int", "int"),), kind="SYSTEM VERSIONED")
KEY = ForeignKey("k", ("p",), TableName("d", "o"), ("id",), on_update="RESTRICT", on_delete="CASCADE")
PERIOD = "s {0} GENERATED ALWAYS AS ROW START, e {0} GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)"
TIMES, NUMBERS = PERIOD.format("TIMESTAMP(6)"), PERIOD.format("BIGINT UNSIGNED")
PARENT = "FOREIGN KEY (p) REFERENCES o (id)"
FOLLOWED = (
    "CREATE TABLE t (id INT) WITH SYSTEM VERSIONING",
    f"CREATE TABLE t (id BIGINT, {TIMES}) WITH SYSTEM VERSIONING",
    f"CREATE TABLE t (p INT, {PARENT} ON DELETE RESTRICT ON UPDATE NO ACTION) WITH SYSTEM VERSIONING",
    f"CREATE TABLE t (p INT, {PARENT} ON DELETE CASCADE)",
    "ALTER TABLE t ADD SYSTEM VERSIONING",
    "ALTER TABLE t COMMENT 'AS ROW START BIGINT ON DELETE CASCADE'",
)
REFUSED = {
    f"CREATE TABLE t (id INT, {NUMBERS}) WITH SYSTEM VERSIONING": "numbered",
    f"ALTER TABLE t ADD COLUMN {NUMBERS.replace(', e', ', ADD COLUMN e')}": "numbered",
    f"CREATE TABLE t (p INT, {PARENT} ON DELETE CASCADE) WITH SYSTEM VERSIONING": "another time",
    f"CREATE TABLE t (p INT, {PARENT} ON UPDATE SET NULL) WITH SYSTEM VERSIONING": "another time",
    f"CREATE TABLE t (p INT, {PARENT} ON UPDATE RESTRICT ON DELETE SET DEFAULT) WITH SYSTEM VERSIONING": "another time",
}


def _why(text: str, before: TableDefinition | None = None, *, to_mariadb: bool = True) -> str | None:
    return why_statement_refused(parse_statement(text, "d", DIALECT), before, to_mariadb=to_mariadb)


@pytest.mark.parametrize("text", FOLLOWED)
def test_these_statements_are_followed(text: str) -> None:
    assert _why(text) is None


@pytest.mark.parametrize("text", REFUSED)
def test_these_statements_make_versions_that_cannot_be_the_same(text: str) -> None:
    assert REFUSED[text] in (_why(text) or "")


def test_what_a_table_is_already_counts() -> None:
    adds = f"ALTER TABLE t ADD {PARENT} ON DELETE CASCADE"
    assert _why(adds, replace(TABLE, kind="BASE TABLE")) is None
    assert "another time" in (_why(adds, TABLE) or "")
    bound = replace(TABLE, foreign_keys=(KEY,), kind="BASE TABLE")
    assert "foreign key k" in (_why("ALTER TABLE t ADD SYSTEM VERSIONING", bound) or "")
    assert _why("ALTER TABLE t ADD COLUMN c INT", bound) is None
    assert _why("ALTER TABLE t DROP SYSTEM VERSIONING", replace(bound, kind="SYSTEM VERSIONED")) is None


def test_mysql_has_no_row_versions() -> None:
    assert "MySQL" in (_why("CREATE TABLE t (id INT) WITH SYSTEM VERSIONING", to_mariadb=False) or "")
    assert "MySQL" in (_why("ALTER TABLE t ADD SYSTEM VERSIONING", to_mariadb=False) or "")
    assert _why("CREATE TABLE t (id INT WITHOUT SYSTEM VERSIONING)", to_mariadb=False) is None
    assert _why("ALTER TABLE t DROP SYSTEM VERSIONING", to_mariadb=False) is None


def test_definitions_are_judged_as_statements_are() -> None:
    assert why_history_differs(TABLE) is None
    assert "foreign key k" in (why_history_differs(replace(TABLE, foreign_keys=(KEY,))) or "")
    assert why_history_differs(replace(TABLE, foreign_keys=(replace(KEY, on_delete="RESTRICT"),))) is None
    assert why_history_differs(replace(TABLE, foreign_keys=(KEY,), kind="BASE TABLE")) is None
    number = Column("s", "bigint", "bigint(20) unsigned", generation_expression="ROW START")
    assert "numbered" in (why_history_differs(replace(TABLE, columns=(*TABLE.columns, number))) or "")


def test_the_last_moment_is_that_of_the_release() -> None:
    assert [last_year(v) for v in ((10, 11, 18), (11, 4, 9), (11, 5, 0), (12, 0, 1))] == [2038, 2038, 2106, 2106]
