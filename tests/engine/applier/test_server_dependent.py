"""ALTER TABLE on rows that are there: run where the outcome is the same on every server, and where it is not, not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, TableChangedInWindow

if TYPE_CHECKING:
    from replica_cli.core.settings import EngineChoice
    from tests.engine.applier.harness import Harness

COLUMNS = "(id INT PRIMARY KEY, a INT, v VARCHAR(40), d DATETIME(6), ts TIMESTAMP NULL, f DOUBLE)"
ROWS = (
    "(3, 30, 'x', '2024-01-01 23:30:00.123456', '2024-01-01 22:30:00', 0.5), (1, 10, 'y', '2024-05-05', NULL, 7),"
    " (2, NULL, 'X', NULL, '2024-06-01 00:00:00', NULL)"
)
# Each on a table of its own, `{t}`; whether the server's own things come into the rows that are there.
BOTH = {
    "connection": ("ALTER TABLE {t} ADD c BIGINT DEFAULT (connection_id())", True),
    "schema": ("ALTER TABLE {t} ADD c VARCHAR(80) DEFAULT (database())", True),
    "division": ("ALTER TABLE {t} ADD c DECIMAL(20, 8) DEFAULT (a / 3)", True),
    "names of days": ("ALTER TABLE {t} ADD c VARCHAR(20) DEFAULT (dayname(d))", True),
    "several clauses": (
        "ALTER TABLE {t} ADD COLUMN k INT, ADD COLUMN c VARCHAR(20) DEFAULT (dayname(d)), DROP f", True,
    ),
    "in parentheses": ("ALTER TABLE {t} ADD COLUMN (k INT, c VARCHAR(90) DEFAULT (CONCAT(dayname(d), 1)))", True),
    "in a comment": ("ALTER TABLE {t} ADD k INT /*!40000 , ADD c VARCHAR(20) DEFAULT (dayname(d)) */", True),
    "numbers": ("ALTER TABLE {t} ADD k INT NOT NULL AUTO_INCREMENT UNIQUE", True),
    "serial": ("ALTER TABLE {t} ADD COLUMN k SERIAL", True),
    "numbers for none": ("ALTER TABLE {t} MODIFY a INT NOT NULL AUTO_INCREMENT, ADD KEY (a)", True),
    "renamed": ("ALTER TABLE {t} ADD c VARCHAR(20) DEFAULT (dayname(d)), RENAME TO {t}_renamed", True),
    "literals": (
        "ALTER TABLE {t} ADD c INT NOT NULL DEFAULT -5, ADD w VARCHAR(9) DEFAULT 'a,b' COMMENT 'now()'", False,
    ),
    "columns": ("ALTER TABLE {t} ADD c VARCHAR(90) DEFAULT (CONCAT(UPPER(v), '-', COALESCE(a, 0) * 2))", False),
    "now": (
        "ALTER TABLE {t} ADD c DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", False,
    ),
    "now, an expression": ("ALTER TABLE {t} ADD c VARCHAR(40) DEFAULT (NOW(6)), ADD e DATE DEFAULT (CURDATE())", False),
    "moments": (
        "ALTER TABLE {t} ADD c DOUBLE DEFAULT (UNIX_TIMESTAMP(ts)), ADD e VARCHAR(40) DEFAULT (DATE(ts))", False,
    ),
    "nothing": ("ALTER TABLE {t} ADD c INT NOT NULL, ADD w VARCHAR(9) NOT NULL, ADD e DATE", False),
    "stored": (
        "ALTER TABLE {t} ADD c VARCHAR(60) AS (CONCAT(v, a)) STORED, ADD e INT AS (a * 2 + YEAR(d)) STORED", False,
    ),
    "virtual": ("ALTER TABLE {t} ADD c DATE AS (DATE(ts)) VIRTUAL, ADD e INT AS (a + 3) VIRTUAL", False),
    "default for later": ("ALTER TABLE {t} ALTER v SET DEFAULT (dayname(d))", False),
    "default of a changed column": ("ALTER TABLE {t} MODIFY v VARCHAR(50) DEFAULT (dayname(d))", False),
    "counter": ("ALTER TABLE {t} MODIFY id INT NOT NULL AUTO_INCREMENT, AUTO_INCREMENT = 50", False),
    "types": (
        "ALTER TABLE {t} MODIFY a BIGINT, CHANGE v vv TEXT, MODIFY ts DATETIME, MODIFY d TIMESTAMP(6) NULL", False,
    ),
    "order": ("ALTER TABLE {t} ORDER BY a DESC, v", False),
    "keys": ("ALTER TABLE {t} ADD UNIQUE KEY (a), ADD INDEX (v(3)), ADD CONSTRAINT positive CHECK (id > 0)", False),
    "rebuilt": ("ALTER TABLE {t} ENGINE=InnoDB, FORCE, COMMENT='default (uuid())', ALGORITHM=COPY, LOCK=SHARED", False),
    "charset": ("ALTER TABLE {t} CONVERT TO CHARACTER SET latin1, DEFAULT CHARACTER SET latin1", False),
    "an index": ("CREATE UNIQUE INDEX by_v ON {t} (id, v)", False),
}  # fmt: skip
MARIADB = {
    "uuid": ("ALTER TABLE {t} ADD c CHAR(36) DEFAULT UUID() FIRST", True),
    "a random number": ("ALTER TABLE {t} ADD c DOUBLE NOT NULL DEFAULT RAND() COMMENT 'x'", True),
    "user": ("ALTER TABLE {t} ADD IF NOT EXISTS c VARCHAR(80) DEFAULT USER()", True),
    "a server's variable": ("ALTER TABLE {t} ADD c VARCHAR(80) DEFAULT (@@port)", True),
    "a session's variable": ("ALTER TABLE {t} ADD c VARCHAR(80) DEFAULT (@x)", True),
    "the clock": ("ALTER TABLE {t} ADD c DATETIME(6) DEFAULT SYSDATE(6)", True),
    "duplicates": ("ALTER IGNORE TABLE {t} ADD UNIQUE (v)", True),
    "waits": ("ALTER TABLE {t} WAIT 5 ADD c CHAR(36) DEFAULT (UUID())", True),
    "now, in two phases": (
        "SET STATEMENT max_statement_time=60 FOR ALTER TABLE {t} ADD c DATETIME(6) DEFAULT NOW(6)", False,
    ),
}  # fmt: skip
MYSQL = {
    "uuid": ("ALTER TABLE {t} ADD c CHAR(36) DEFAULT (UUID()) FIRST", True),
    "a random number": ("ALTER TABLE {t} ADD c DOUBLE NOT NULL DEFAULT (RAND()) COMMENT 'x'", True),
    "user": ("ALTER TABLE {t} ADD c VARCHAR(80) DEFAULT (USER())", True),
    "the clock": ("ALTER TABLE {t} ADD c DATETIME(6) DEFAULT (SYSDATE(6))", True),
}
SETTINGS = "sql_mode = '', div_precision_increment = 1, lc_time_names = 'de_DE', time_zone = '+05:00'"


def run(harness: Harness, *statements: str) -> None:
    """Run statements in a session of their own, as MySQL logs what it refuses in row format."""
    with harness.primary.session(harness.schema) as session:
        session.execute(f"SET SESSION {SETTINGS}")
        session.execute("SET SESSION binlog_format = 'STATEMENT'")
        session.execute("SET @x = 5")
        for statement in statements:
            session.execute(statement)


@pytest.mark.covers("DDL whose result depends on the server")
def test_an_alteration_is_run_only_where_its_outcome_is_the_same(harness: Harness, engine_choice: EngineChoice) -> None:
    harness.settings = replace(harness.settings, apply=replace(harness.settings.apply, engine=engine_choice))
    found = {**BOTH, **(MARIADB if harness.is_mariadb else MYSQL)}
    cases = {f"t{number}": case for number, case in enumerate(found.values())}
    harness.on_both(
        *(s for t in cases for s in (f"CREATE TABLE {t} {COLUMNS}", f"INSERT INTO {t} VALUES {ROWS}")),
        f"CREATE TABLE empty_one {COLUMNS}",
    )
    harness.begin_here()
    run(harness, "ALTER TABLE empty_one ADD k SERIAL, ADD c VARCHAR(20) DEFAULT (dayname(d))")
    harness.on_primary("INSERT INTO empty_one (id) VALUES (1)")
    if harness.is_one_flavour:
        harmless = [s.replace("{t}", table) for table, (s, depends) in cases.items() if not depends]
        run(harness, *harmless)
        harness.stream()
        harness.assert_equal()
        assert len(harmless) > 10
        cases = {table: case for table, case in cases.items() if case[1]}
    for table, (statement, depends) in cases.items():
        run(harness, statement.replace("{t}", table))
        try:
            harness.stream()
        except TableChangedInWindow as error:
            # Nothing was done, and the stream would copy the table again: here both leave it out.
            names = [name.table for name in error.tables]
            assert table in names
            assert harness.rows(f"SELECT COUNT(*) FROM {table}") == [(3,)]
        except ApplyRefused:
            assert not harness.is_one_flavour, statement  # its words, or a function, are not the other flavour's
            names = [table]
        else:
            assert not depends, statement
            continue
        harness.on_both(*(f"DROP TABLE IF EXISTS {name}" for name in names))
        harness.begin_here()
    harness.assert_equal()
