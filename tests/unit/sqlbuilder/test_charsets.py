"""Charsets without a collation are found where they are, and nowhere else."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.charsets import bare_charsets, with_collations
from replica_cli.sqlbuilder.statement import parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG

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
