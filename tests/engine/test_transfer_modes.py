"""Values that a primary accepted in sessions with other sql_modes are copied as they are."""

from __future__ import annotations

import pytest

from tests.engine.copier import Copier, numbers

WIDE = ", ".join(f"c{number} CHAR(250)" for number in range(34))
# What the session sets, the table, and what is inserted; {t} is its name.
EVERYWHERE = {
    "virtual alone": ("", "(a INT AS (5) VIRTUAL)", "() VALUES (), ()"),
    "stored alone": ("", "(a INT AS (5) STORED, b INT AS (6) VIRTUAL)", "() VALUES (), (), ()"),
    "no rows and nothing written": ("", "(a INT AS (5) STORED UNIQUE)", ""),
    "text cut": (
        "sql_mode = ''",
        "(id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(3) AS (a) STORED)",
        "(id, a) VALUES (1, 'abcdef'), (2, 'ab'), (3, NULL)",
    ),
    "text cut without a key": ("sql_mode = ''", "(a VARCHAR(20), b VARCHAR(3) AS (a) STORED)", "(a) VALUES ('abcdef')"),
    "number cut": (
        "sql_mode = ''", "(id INT PRIMARY KEY, a INT, b TINYINT AS (a) STORED)", "(id, a) VALUES (1, 1000), (2, 5)"
    ),
    "index of a virtual column cut": (
        "sql_mode = ''",
        "(id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(3) AS (a) VIRTUAL, KEY (b))",
        "(id, a) VALUES (1, 'abcdef')",
    ),
    "check in signed arithmetic": (
        "sql_mode = 'NO_UNSIGNED_SUBTRACTION'",
        "(id INT PRIMARY KEY, a INT UNSIGNED, CHECK (a - 5 < 100))",
        "(id, a) VALUES (1, 1), (2, 9)",
    ),
    "wider than strict": (
        "innodb_strict_mode = OFF, sql_mode = ''",
        f"(id INT PRIMARY KEY, {WIDE}, KEY k (c0)) ROW_FORMAT=DYNAMIC CHARACTER SET latin1",
        "(id, c0) VALUES (1, 'x')",
    ),
    "options of other engines": (
        "innodb_strict_mode = OFF", "(id INT PRIMARY KEY) ROW_FORMAT=FIXED KEY_BLOCK_SIZE=3", "VALUES (1)"
    ),
}  # fmt: skip
ON_MYSQL = {
    "column in signed arithmetic": (
        "sql_mode = 'NO_UNSIGNED_SUBTRACTION'",
        "(id INT PRIMARY KEY, a INT UNSIGNED, b INT AS (a - 5) STORED)",
        "(id, a) VALUES (1, 1), (2, 9)",
    ),
}


def test_what_another_mode_let_in_is_copied(copier: Copier) -> None:
    copier.on_primary()
    with copier.primary.session(copier.schema) as session:
        tables = EVERYWHERE | ({} if session.is_mariadb else ON_MYSQL)
        for name, (settings, table, rows) in tables.items():
            session.execute("SET SESSION sql_mode = DEFAULT, innodb_strict_mode = DEFAULT")
            if settings:
                session.execute(f"SET SESSION {settings}")
            session.execute(f"CREATE TABLE `{name}` {table}")
            if rows:
                session.execute(f"INSERT INTO `{name}` {rows}")
    copier.copy()
    copier.compare()


def test_a_late_row_of_another_sql_mode_is_compared_with_its_neighbours(copier: Copier) -> None:
    copier.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b TINYINT AS (a) STORED, c VARCHAR(9))",
        numbers("t", 200, "n, n % 100, 'x'").replace("INTO t SELECT", "INTO t (id, a, c) SELECT"),
        "SET SESSION sql_mode = ''",
        "UPDATE t SET a = 999 WHERE id IN (90, 170)",
    )
    copier.copy()
    copier.compare()


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("other", ["2024-02-28", "no date"], ids=["in our mode", "in another"])
def test_a_value_that_no_sql_mode_of_the_copy_computes_is_named(copier: Copier, other: str) -> None:
    # A day that does not exist: kept as it is in our sessions, 0000-00-00 in that one.
    copier.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b DATE AS (a) STORED)",
        "SET SESSION sql_mode = ''",
        f"INSERT INTO t (id, a) VALUES (1, '2024-02-31'), (2, '{other}')",
    )
    result = copier.run(copier.plan())
    ((table, message),) = result.errors
    assert table.endswith(".t")
    assert "stores other values than the primary, in each sql_mode" in message
