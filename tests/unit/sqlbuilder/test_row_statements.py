"""The exact text of statements that change rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.table import Column, TableName
from replica_cli.sqlbuilder.rows.row_statements import (
    delete_by_key,
    delete_template,
    insert_head,
    row_values,
    update_joined,
    update_template,
    update_whole_row_template,
)

ODD = TableName("s%d", "t`%b")
NAME = "`s%d`.`t``%b`"


def test_insert_and_replace() -> None:
    rows = [(b"1", b"x'2525'"), (b"NULL", b"-1.5")]
    assert insert_head(ODD, ["a`%s", "é"]).decode() == f"INSERT INTO {NAME} (`a``%s`,`é`) VALUES "
    assert insert_head(ODD, ["a"], replaces=True).decode() == f"REPLACE INTO {NAME} (`a`) VALUES "
    assert row_values(rows) == [b"(1,x'2525')", b"(NULL,-1.5)"]


def test_delete_by_key() -> None:
    assert delete_by_key(ODD, ["%"], [(b"1",), (b"2",)]).decode() == f"DELETE FROM {NAME} WHERE `%` IN (1,2)"
    two = delete_by_key(ODD, ["a", "b"], [(b"1", b"x'25'"), (b"2", b"3")])
    assert two.decode() == f"DELETE FROM {NAME} WHERE (`a`=1 AND `b`=x'25') OR (`a`=2 AND `b`=3)"


def test_update_joined() -> None:
    rows = [(b"1", b"'%s'", b"1"), (b"2", b"NULL", b"2")]
    assert update_joined(ODD, ["k`", "v%"], ["k`"], rows).decode() == (
        "UPDATE (SELECT 1 AS c0,'%s' AS c1,1 AS c2 UNION ALL SELECT 2,NULL,2) AS n"
        f" STRAIGHT_JOIN {NAME} AS t ON t.`k```=n.c2 SET t.`v%`=n.c1"
    )
    two = update_joined(ODD, ["v", "w"], ["a", "b"], [(b"0.1e0", b"x'ff'", b"7", b"8")])
    assert two.decode() == (
        "UPDATE (SELECT 0.1e0 AS c0,x'ff' AS c1,7 AS c2,8 AS c3) AS n"
        f" STRAIGHT_JOIN {NAME} AS t ON t.`a`=n.c2 AND t.`b`=n.c3 SET t.`v`=n.c0,t.`w`=n.c1"
    )


def _column(name: str, kind: str = "int") -> Column:
    return Column(name, kind, kind)


def test_a_row_without_a_key_is_found_by_what_it_is_not_by_what_it_compares_as() -> None:
    columns = [_column("t%", "text"), _column("v", "vector"), _column("j", "json")]
    gone = (delete_template(ODD, columns) % (b"'a'", b"x'00'", b"CAST('1' AS JSON)")).decode()
    assert "CAST(`t%` AS BINARY)<=>'a' AND CAST(`v` AS BINARY)<=>x'00' AND (SELECT `j`<=>k.v AND " in gone
    assert gone.endswith("FROM (SELECT CAST('1' AS JSON) AS v) AS k) LIMIT 1")


def test_an_index_lookup_finds_values_that_compare_as_equal() -> None:
    columns = [_column("a%", "varchar"), _column("b")]
    gone = delete_template(ODD, columns, ["a%"]) % (b"'x'", b"2", b"'x'")
    found = "WHERE CAST(`a%` AS BINARY)<=>'x' AND `b`<=>2 AND `a%`<=>'x' LIMIT 1"
    assert gone.decode() == f"DELETE FROM {NAME} {found}"
    changed = update_whole_row_template(ODD, ["b"], columns, ["a%"]) % (b"3", b"'x'", b"2", b"'x'")
    assert changed.decode() == f"UPDATE {NAME} SET `b`=3 {found}"


def test_templates_take_their_literals_in_order() -> None:
    update = update_template(ODD, ["v%", "w"], ["k%s", "l"]) % (b"1", b"'%s'", b"3", b"4")
    assert update.decode() == f"UPDATE {NAME} SET `v%`=1,`w`='%s' WHERE `k%s`=3 AND `l`=4"
    whole = update_whole_row_template(ODD, ["v%"], [_column("a"), _column("%b")]) % (b"1", b"NULL", b"2")
    assert whole.decode() == f"UPDATE {NAME} SET `v%`=1 WHERE `a`<=>NULL AND `%b`<=>2 LIMIT 1"
    gone = delete_template(ODD, [_column("a"), _column("%b")]) % (b"NULL", b"2")
    assert gone.decode() == f"DELETE FROM {NAME} WHERE `a`<=>NULL AND `%b`<=>2 LIMIT 1"


NAMES = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(NAMES, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_any_name_survives_a_template(table: str, columns: list[str]) -> None:
    literals = tuple(b"%d" % n for n in range(2 * len(columns)))
    made = (update_template(TableName("s", table), columns, columns) % literals).decode()
    assert made.startswith(f"UPDATE `s`.`{table.replace('`', '``')}` SET ")
    for number, column in enumerate(columns):
        assert f"`{column.replace('`', '``')}`={number}" in made
