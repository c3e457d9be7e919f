"""Statements that can leave every definition as it was although they changed tables."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.statements.swaps import renamed_in_a_circle, swaps_in_place
from replica_cli.sqlbuilder.tokens import CATALOG

CIRCLES = {
    "RENAME TABLE a TO x, b TO a, x TO b": "a=b b=a",
    "rename table a to x, b to a, c to b, x to c": "a=b b=c c=a",
    "RENAME TABLE a TO old, ghost TO a": "",
    "RENAME TABLE a TO b, c TO d": "",
    "ALTER TABLE a RENAME TO b": "",
    "DROP TABLE a, b": "",
}
IN_PLACE = {
    "ALTER TABLE a EXCHANGE /* now */ PARTITION p WITH TABLE b": True,
    "ALTER TABLE a RENAME COLUMN v TO x, RENAME COLUMN w TO v, RENAME COLUMN x TO w": True,
    "ALTER TABLE a CHANGE v w INT, CHANGE w v INT": True,
    "ALTER TABLE a RENAME COLUMN v TO w": False,
    "ALTER TABLE a CHANGE v w INT COMMENT 'EXCHANGE PARTITION', ADD x INT": False,
    "TRUNCATE TABLE a": False,
}


@pytest.mark.parametrize("text", CIRCLES)
def test_a_circle_of_renames(text: str) -> None:
    found = renamed_in_a_circle(parse_statement(text, "d", CATALOG))
    assert " ".join(sorted(f"{new.table}={old.table}" for new, old in found.items())) == CIRCLES[text]


@pytest.mark.parametrize("text", IN_PLACE)
def test_an_alter_that_swaps_in_place(text: str) -> None:
    assert swaps_in_place(parse_statement(text, "d", CATALOG)) == IN_PLACE[text]
