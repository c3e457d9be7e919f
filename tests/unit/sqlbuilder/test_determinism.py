"""Which expressions are the same on any server and in any session; tests/engine/test_computed_columns.py proves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.table import Column, Index, IndexColumn, TableDefinition, TableName
from replica_cli.sqlbuilder.statements.determinism import Setting, why_computed_values_differ, why_value_differs
from replica_cli.sqlbuilder.tokens import CATALOG, tokenise

KINDS = {
    "i": "int", "n": "decimal", "g": "double", "c": "char", "v": "varchar", "d": "date", "dt": "datetime",
    "ts": "timestamp", "tm": "time", "j": "json",
}  # fmt: skip
COLUMNS = {name: Column(name, kind, kind) for name, kind in KINDS.items()}
COLUMNS["dt6"] = Column("dt6", "datetime", "datetime(6)", fraction_digits=6)

SAME = (
    "`i` * 2 + 1", "1", "'x'", "-(1.5e3)", "concat(upper(`v`),_utf8mb4'-',`i`)", "x'00ff'", "0x41",
    "case when `i` = 1 then 'one' else 'more' end", "`v` in ('a','b')", "`v` like 'a%'", "year(`d`) % 4",
    "`g` / 3", "3 / `g`", "week(`d`,1)", "date_format(`d`,'%Y-%m')", "unix_timestamp(`ts`)", "cast(`dt6` as date)",
    "json_unquote(json_extract(`j`,'$.a'))", "`d` + interval 1 day", "convert(`v` using utf8mb4)",
    "`v` collate utf8mb4_bin", "str_to_date(`v`,'%Y-%m-%d')", "coalesce(`n`,0)", "time_to_sec(`tm`)",
)  # fmt: skip
OTHERS = (
    "uuid()", "rand()", "`i` / 3", "(`i` + 1) / (`n` * 2)", "date(`ts`)", "`ts`", "from_unixtime(`i`)", "dayname(`d`)",
    "date_format(`d`,'%a')", "week(`d`)", "unix_timestamp(`dt`)", "@x", "@@hostname", "connection_id()", "user()",
    "some_function(`i`)", "db.f(`i`)", "`unknown` + 1", "'a' = 'A'", "hex('x')", "concat('a',`i`) = 'A7'",
    "timestamp(`tm`)", "cast(`tm` as datetime)", "`tm` < `dt`", "nextval(`s`)", "aes_encrypt(`v`,'k')",
)  # fmt: skip
OTHERS_ON_MYSQL = (
    "concat(`c`,'!')", "cast(`dt6` as time)", "cast('2024-01-01 10:00:00+02:00' as datetime)", "year(`v`)",
    "cast(json_unquote(json_extract(`j`,'$.a')) as datetime)", "`v` + interval 1 day",
)  # fmt: skip


@pytest.mark.parametrize("text", SAME)
def test_what_needs_nothing_of_a_session_is_the_same(text: str) -> None:
    for is_mariadb in (True, False):
        setting = Setting(COLUMNS, "varchar", is_mariadb=is_mariadb)
        assert why_value_differs(tokenise(text, CATALOG), setting) is None


@pytest.mark.parametrize("text", [*OTHERS, *OTHERS_ON_MYSQL])
def test_what_a_session_or_a_server_decides_is_not(text: str) -> None:
    is_mariadb = text in OTHERS
    assert why_value_differs(tokenise(text, CATALOG), Setting(COLUMNS, "varchar", is_mariadb=is_mariadb))


@pytest.mark.parametrize("text", ["now(6)", "curdate()", "from_unixtime(`i`)", "date(`ts`)", "unix_timestamp()"])
def test_a_logged_statement_brings_its_clock_and_its_time_zone(text: str) -> None:
    assert why_value_differs(tokenise(text, CATALOG), Setting(COLUMNS, is_logged=True)) is None
    assert why_value_differs(tokenise(text, CATALOG), Setting(COLUMNS))


@pytest.mark.parametrize("text", ["`dt6`", "`v`", "`tm`", "`ts`"])
def test_a_value_is_converted_to_the_columns_type(text: str) -> None:
    setting = Setting(COLUMNS, "datetime", is_mariadb=False)
    assert why_value_differs(tokenise(text, CATALOG), setting)


@pytest.mark.parametrize(
    "text",
    ["s.t.i + t.i", "`s`.`t`.`i` * `t`.`i`", "s . t . i - t /**/ . `i`", ".t.i + . t . i", "S.T.I", "i > 1 AND .t.i",
     "g / t.g", "upper(s.t.v)"],
)  # fmt: skip
def test_a_column_may_be_called_with_its_table_and_its_schema(text: str) -> None:
    setting = Setting(COLUMNS, "varchar", table=TableName("s", "t"))
    assert why_value_differs(tokenise(text, CATALOG), setting) is None
    assert why_value_differs(tokenise(text, CATALOG), replace(setting, table=TableName("s", "u")))


@pytest.mark.parametrize(
    "text", ["r.t.i", "`r` .t.i", "u.i", "s.i", "s.t.unknown", "t.t.i", "x.s.t.i", "t.i.i", "i.t.i", "t.i(1)"]
)
def test_a_name_of_another_table_is_no_column(text: str) -> None:
    assert why_value_differs(tokenise(text, CATALOG), Setting(COLUMNS, "varchar", table=TableName("s", "t")))


@pytest.mark.parametrize("text", ["s.t.ts", "t.ts", ".t.ts", "concat(s . t . ts)"])
def test_a_columns_type_counts_however_it_is_called(text: str) -> None:
    reason = why_value_differs(tokenise(text, CATALOG), Setting(COLUMNS, "varchar", table=TableName("s", "t")))
    assert reason is not None
    assert reason.startswith("ts is a TIMESTAMP")


def _table(*columns: Column, indexes: tuple[Index, ...] = ()) -> TableDefinition:
    return TableDefinition(TableName("s", "t"), "InnoDB", "", (*COLUMNS.values(), *columns), indexes)


def test_only_what_a_server_keeps_matters() -> None:
    virtual = Column("r", "date", "date", extra="VIRTUAL GENERATED", generation_expression="cast(`ts` as date)")
    stored = Column("r", "date", "date", extra="STORED GENERATED", generation_expression="cast(`ts` as date)")
    key = Index("k", is_unique=False, columns=(IndexColumn("r"),))
    functional = Index("k", is_unique=False, columns=(IndexColumn("", expression="cast(`ts` as date)"),))
    found = [
        why_computed_values_differ(table, from_mariadb=False, to_mariadb=False)
        for table in (_table(virtual), _table(stored), _table(virtual, indexes=(key,)), _table(indexes=(functional,)))
    ]
    assert [f and f[0] for f in found] == [None, "column r", "column r", "index k"]


def test_a_division_is_computed_otherwise_by_the_other_flavour() -> None:
    table = _table(Column("r", "decimal", "decimal(9,2)", extra="VIRTUAL GENERATED", generation_expression="`i` / 3"))
    assert why_computed_values_differ(table, from_mariadb=False, to_mariadb=False) is None
    assert why_computed_values_differ(table, from_mariadb=False, to_mariadb=True)
