"""Clauses that are left out before a statement runs on the secondary."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.statements.clauses import dropped_constraints, without_dropped, without_execution_options
from replica_cli.sqlbuilder.statements.statement import ParsedStatement, parse_statement
from replica_cli.sqlbuilder.tokens import CATALOG

WAYS = {
    "ALTER TABLE t ADD a INT, ALGORITHM=INSTANT": "ALTER TABLE t ADD a INT",
    "ALTER TABLE t ALGORITHM = COPY, LOCK=NONE, ADD a INT DEFAULT 1": "ALTER TABLE t ADD a INT DEFAULT 1",
    "ALTER TABLE s.t ADD a INT, LOCK none, ADD b INT;": "ALTER TABLE s.t ADD a INT, ADD b INT;",
    "ALTER ONLINE TABLE t ADD a INT": "ALTER TABLE t ADD a INT",
    "ALTER TABLE t LOCK=NONE": "ALTER TABLE t",
    "CREATE UNIQUE INDEX lock ON t (a) COMMENT 'x' ALGORITHM INPLACE LOCK = NONE":
        "CREATE UNIQUE INDEX lock ON t (a) COMMENT 'x'",
    "DROP INDEX i ON t ALGORITHM=INPLACE": "DROP INDEX i ON t",
    "CREATE ONLINE INDEX online ON t (a)": "CREATE INDEX online ON t (a)",
}  # fmt: skip
KEPT = (
    "ALTER TABLE t ADD algorithm INT, DROP lock, RENAME COLUMN a TO online",
    "ALTER TABLE t COMMENT 'x, LOCK=NONE', ADD a INT DEFAULT (1 + 2)",
    "ALTER TABLE t ADD a INT /*!50000 , ALGORITHM=INPLACE */",
    "ALTER TABLE t PARTITION BY KEY ALGORITHM=2 (id) PARTITIONS 2",
    "ALTER TABLE t ORDER BY a, lock",
    "CREATE TABLE t (a INT)",
)
DROPPED = {
    "ALTER TABLE t DROP FOREIGN KEY `F`": (["f"], None),
    "ALTER TABLE t DROP FOREIGN KEY f, DROP COLUMN c": (["f"], "ALTER TABLE t DROP COLUMN c"),
    "ALTER TABLE t ADD a INT, DROP CONSTRAINT f, DROP CHECK g": (["f", "g"], "ALTER TABLE t ADD a INT"),
    "ALTER TABLE t DROP KEY f, DROP f": ([], "ALTER TABLE t DROP KEY f, DROP f"),
}


def parsed(text: str) -> ParsedStatement:
    return parse_statement(text, "d", CATALOG)


def text_of(statement: ParsedStatement) -> str:
    return " ".join("".join(t.text for t in statement.tokens).split()).replace(" ;", ";").replace(" ,", ",")


@pytest.mark.parametrize("text", WAYS)
def test_algorithm_and_lock_of_the_primary_are_left_out(text: str) -> None:
    assert text_of(without_execution_options(parsed(text))) == WAYS[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_is_kept(text: str) -> None:
    assert text_of(without_execution_options(parsed(text))) == " ".join(text.split()).replace(" ,", ",")


@pytest.mark.parametrize("text", DROPPED)
def test_constraints_that_are_dropped_are_known_and_left_out(text: str) -> None:
    names, rest = DROPPED[text]
    assert sorted(dropped_constraints(parsed(text))) == names
    found = without_dropped(parsed(text), names)
    assert (found and text_of(found)) == rest
