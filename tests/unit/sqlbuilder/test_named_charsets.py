"""Charsets without a collation are found, and no other words are."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.statements.named_charsets import (
    bare_charsets,
    names_table_charset,
    with_collations,
    with_table_collation,
    with_utf8_as_utf8mb4,
)
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG, join

WRITTEN = {
    "CREATE TABLE t (v CHAR(3) CHARACTER SET utf8mb4)": "CREATE TABLE t (v CHAR(3) CHARACTER SET utf8mb4 COLLATE x)",
    "CREATE TABLE t (v INT) CHARSET=utf8mb4": "CREATE TABLE t (v INT) CHARSET=utf8mb4 COLLATE x",
    "CREATE TABLE t (v INT) default charset 'UTF8MB4' COMMENT='x'": (
        "CREATE TABLE t (v INT) default charset 'UTF8MB4' COLLATE x COMMENT='x'"
    ),
    "ALTER TABLE t CONVERT TO CHARACTER SET /* to */ `utf8mb4`": (
        "ALTER TABLE t CONVERT TO CHARACTER SET /* to */ `utf8mb4` COLLATE x"
    ),
    "CREATE TABLE t (a CHAR(3) CHARSET utf8mb4, b CHAR(3) CHARSET utf8mb4 COLLATE y)": (
        "CREATE TABLE t (a CHAR(3) CHARSET utf8mb4 COLLATE x, b CHAR(3) CHARSET utf8mb4 COLLATE y)"
    ),
    "CREATE TABLE t (a ENUM('a, b', 'c') CHARSET utf8mb4 NOT NULL)": (
        "CREATE TABLE t (a ENUM('a, b', 'c') CHARSET utf8mb4 COLLATE x NOT NULL)"
    ),
}
SETTLED = (
    "CREATE TABLE t (v CHAR(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)",
    "CREATE TABLE t (v CHAR(3) COLLATE utf8mb4_bin CHARACTER SET utf8mb4)",
    "CREATE TABLE t (v CHAR(3) CHARACTER SET utf8mb4 BINARY)",
    "CREATE TABLE t (v INT) COLLATE=utf8mb4_bin ENGINE=InnoDB CHARSET=utf8mb4",
    "CREATE TABLE t (v INT) COLLATE=utf8mb4_bin, CHARSET=utf8mb4",
    "CREATE TABLE t (v VARCHAR(40) DEFAULT 'CHARSET utf8mb4', w INT) COMMENT='CHARACTER SET utf8mb4'",
    "CREATE TABLE t (v INT, w CHAR(9) AS (CAST(v AS CHAR CHARACTER SET utf8mb4)))",
    "CREATE TABLE `charset` (`character` INT, `set` INT)",
)


@pytest.mark.parametrize("text", WRITTEN)
def test_written_out(text: str) -> None:
    parsed = parse_statement(text, "shop", CATALOG)
    places = bare_charsets(parsed)
    assert set(places.values()) == {"utf8mb4"}
    made = with_collations(parsed, dict.fromkeys(places, "x"))
    assert "".join(t.text for t in made.tokens) == WRITTEN[text]


@pytest.mark.parametrize("text", SETTLED)
def test_nothing_to_write(text: str) -> None:
    assert not bare_charsets(parse_statement(text, "shop", CATALOG))


OPTION = "DEFAULT CHARACTER SET latin1 COLLATE latin1_bin"
COMPLETED = {
    "CREATE TABLE t (v INT)": f"CREATE TABLE t (v INT) {OPTION}",
    "create table if not exists `a`.t(v char(3) charset utf8 check (v > ')'), key (v))comment 'charset'": (
        f"create table if not exists `a`.t(v char(3) charset utf8 check (v > ')'), key (v)) {OPTION}comment 'charset'"
    ),
    "CREATE TABLE t /* ( */ (v INT) -- COLLATE\n PARTITION BY LIST COLUMNS (v) (PARTITION p VALUES IN ('COLLATE'))": (
        f"CREATE TABLE t /* ( */ (v INT) {OPTION} -- COLLATE\n "
        "PARTITION BY LIST COLUMNS (v) (PARTITION p VALUES IN ('COLLATE'))"
    ),
    "CREATE TABLE t (id INT) SELECT 'x' COLLATE utf8mb4_bin AS v": (
        f"CREATE TABLE t (id INT) {OPTION} SELECT 'x' COLLATE utf8mb4_bin AS v"
    ),
    # Without a list of columns there is no place in the statement that every server accepts.
    "CREATE TABLE t SELECT (1)": "CREATE TABLE t SELECT (1)",
}


@pytest.mark.parametrize("text", COMPLETED)
def test_the_tables_collation_is_written_after_its_columns(text: str) -> None:
    parsed = parse_statement(text, "s", CATALOG)
    assert not names_table_charset(parsed)
    assert join(with_table_collation(parsed, "latin1_bin").tokens) == COMPLETED[text]


@pytest.mark.parametrize(
    "option", ["CHARSET=latin1", "ENGINE=InnoDB, DEFAULT CHARACTER SET latin1", "COLLATE latin1_bin"]
)
def test_a_table_that_names_its_charset(option: str) -> None:
    assert names_table_charset(parse_statement(f"CREATE TABLE t (v INT) {option}", "s", CATALOG))


def test_utf8_without_its_old_meaning() -> None:
    text = "CREATE TABLE utf8 (v CHAR(3) CHARACTER SET utf8 COLLATE utf8_bin DEFAULT 'utf8') CHARSET=utf8mb3"
    expected = "CREATE TABLE utf8 (v CHAR(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT 'utf8') CHARSET=utf8mb3"
    assert join(with_utf8_as_utf8mb4(parse_statement(text, "s", CATALOG)).tokens) == expected
