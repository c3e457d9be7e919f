"""Tables of odd shapes: columns that fill themselves, keys of all kinds, names, partitions, periods, sequences."""

from __future__ import annotations

from tests.matrix.hard import MARIADB, MYSQL, Family, Table

# The server makes file names of table names, five bytes for a character like this one.
_LONG = "漢" * 45
_ODD = "o`dd 'na\"me' %s %% \n*/ \\n é --"


def _rows(columns: str, *rows: str) -> tuple[str, ...]:
    names = f" ({columns})" if columns else ""
    return (f"INSERT INTO {{t}}{names} VALUES {', '.join(f'({row})' for row in rows)}",)


def _changes(*statements: str) -> tuple[str, ...]:
    return statements


GENERATED = Family(
    "generated columns",
    others=(
        Table(
            "generated",
            "CREATE TABLE {t} (id INT PRIMARY KEY, a INT, s INT GENERATED ALWAYS AS (a * 2) STORED,"
            " v INT GENERATED ALWAYS AS (a * 3) VIRTUAL, b VARCHAR(9),"
            " u INT GENERATED ALWAYS AS (id + 1) STORED UNIQUE)",
            _rows("id, a, b", "{b} + 1, 10, 'x'", "{b} + 2, NULL, NULL", "{b} + 3, -5, 'é'"),
            _changes(
                "UPDATE {t} SET a = a + 100 WHERE id BETWEEN {p} AND {p} + 99",
                "UPDATE {t} SET id = id + 500 WHERE id = {b} + 1",
                "DELETE FROM {t} WHERE id = {b} + 2",
            ),
        ),
        Table(
            "generated_bare",
            "CREATE TABLE {t} (id INT, s INT GENERATED ALWAYS AS (id * 2) STORED, v INT AS (id * 3) VIRTUAL, b INT)",
            _rows("id, b", "{b} + 1, 1", "{b} + 1, 1", "{b} + 2, NULL"),
            _changes(
                "UPDATE {t} SET b = 7 WHERE id = {b} + 1 LIMIT 1",
                "UPDATE {t} SET id = {b} + 9 WHERE id = {b} + 1 LIMIT 1",
                "DELETE FROM {t} WHERE id = {p} + 2",
            ),
        ),
    ),
)
INVISIBLE = Family(
    "invisible columns, DEFAULT expressions",
    others=(
        Table(
            "invisible",
            "CREATE TABLE {t} (id INT PRIMARY KEY, secret INT INVISIBLE DEFAULT 4, b INT,"
            " d VARCHAR(40) DEFAULT (CONCAT('a', 'b')), n DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3))",
            (
                *_rows("", "{b} + 1, 1, DEFAULT, DEFAULT", "{b} + 2, 2, NULL, NULL"),
                *_rows("id, secret", "{b} + 3, 77"),
            ),
            _changes(
                "UPDATE {t} SET secret = secret + 1 WHERE id BETWEEN {p} AND {p} + 99",
                "UPDATE {t} SET id = id + 500 WHERE id = {b} + 1",
                "DELETE FROM {t} WHERE id = {b} + 2",
            ),
        ),
    ),
)
GIPK = Family(
    "generated invisible primary key (MySQL)",
    others=(
        Table(
            "gipk",
            "CREATE TABLE {t} (a INT, b VARCHAR(9))",
            _rows("", "{b} + 1, 'x'", "{b} + 1, 'x'", "{b} + 2, NULL"),
            _changes(
                "UPDATE {t} SET b = 'y' WHERE a = {p} + 1 LIMIT 1",
                "DELETE FROM {t} WHERE a = {b} + 1 LIMIT 1",
            ),
            MYSQL,
            before=("SET SESSION sql_generate_invisible_primary_key = ON",),
            after=("SET SESSION sql_generate_invisible_primary_key = OFF",),
        ),
    ),
)
_PEOPLE_CHANGES = _changes(
    "UPDATE {t} SET b = CONCAT(b, 'z') WHERE id BETWEEN {p} AND {p} + 99",
    "UPDATE {t} SET id = id + 500 WHERE id = {b} + 1",
    "DELETE FROM {t} WHERE id = {b} + 2",
)
EXPRESSIONS = Family(
    "functional and multi-valued indexes (MySQL)",
    others=(
        Table(
            "functional",
            "CREATE TABLE {t} (id INT PRIMARY KEY, a INT, b VARCHAR(30), INDEX f ((a + 1)),"
            " UNIQUE u ((CONCAT(b, id))))",
            _rows("", "{b} + 1, 1, 'x'", "{b} + 2, NULL, 'y'", "{b} + 3, 3, NULL"),
            _PEOPLE_CHANGES,
            MYSQL,
        ),
        Table(
            "multi_valued",
            "CREATE TABLE {t} (id INT PRIMARY KEY, j JSON, b VARCHAR(30),"
            " INDEX m ((CAST(j->'$.z' AS UNSIGNED ARRAY))))",
            _rows("", "{b} + 1, '{\"z\": [1, 2]}', 'x'", "{b} + 2, '{\"z\": []}', 'y'", "{b} + 3, NULL, NULL"),
            _PEOPLE_CHANGES,
            MYSQL,
        ),
        Table(
            "functional_bare",
            "CREATE TABLE {t} (id INT, b VARCHAR(30), INDEX f ((id + 1)))",
            _rows("", "{b} + 1, 'x'", "{b} + 2, 'y'", "{b} + 3, NULL"),
            _PEOPLE_CHANGES,
            MYSQL,
        ),
    ),
)
HASHED = Family(
    "unique keys by a hidden hash (MariaDB)",
    others=(
        Table(
            "hashed",
            "CREATE TABLE {t} (id INT PRIMARY KEY, b TEXT, c INT, UNIQUE (b))",
            _rows("", "{b} + 1, CONCAT({b}, REPEAT('x', 4000)), 1", "{b} + 2, {b}, 2", "{b} + 3, NULL, NULL"),
            _changes(
                "UPDATE {t} SET b = CONCAT(b, 'z') WHERE id BETWEEN {p} AND {p} + 99",
                "UPDATE {t} SET c = 9 WHERE id BETWEEN {p} AND {p} + 99",
                "UPDATE {t} SET id = id + 500 WHERE id = {b} + 1",
                "DELETE FROM {t} WHERE id = {b} + 2",
            ),
            MARIADB,
        ),
        Table(
            "hashed_alone",
            "CREATE TABLE {t} (id INT, b BLOB NOT NULL, UNIQUE (b))",
            _rows("", "{b} + 1, CONCAT({b}, REPEAT('x', 4000))", "{b} + 2, {b}", "{b} + 3, CONCAT('é', {b})"),
            _changes(
                "UPDATE {t} SET b = CONCAT(b, 'z') WHERE id BETWEEN {p} AND {p} + 99",
                "UPDATE {t} SET id = id + 500 WHERE id = {b} + 1",
                "DELETE FROM {t} WHERE id = {b} + 2",
            ),
            MARIADB,
        ),
    ),
)
_WIDE = ", ".join(f"w{n} {('INT', 'VARCHAR(5)', 'BIT(3)', 'DATE')[n % 4]}" for n in range(600))
_WIDE_ROW = ", ".join(("7", "'é'", "5", "'2024-02-29'")[n % 4] if n % 7 else "NULL" for n in range(600))
SIZES = Family(
    "600 columns, long and odd names",
    others=(
        Table(
            "wide",
            f"CREATE TABLE {{t}} (id INT PRIMARY KEY, {_WIDE}, b VARCHAR(30))",
            _rows("", *(f"{{b}} + {n}, {_WIDE_ROW}, 'x'" for n in (1, 2, 3))),
            (*_PEOPLE_CHANGES, "UPDATE {t} SET w599 = '2000-01-01', w8 = NULL WHERE id = {b} + 3"),
        ),
        Table(
            _LONG,
            f"CREATE TABLE {{t}} (id INT PRIMARY KEY, `{'語' * 64}` INT, b VARCHAR(30), KEY `{'鍵' * 64}` (b))",
            _rows("", "{b} + 1, 1, 'x'", "{b} + 2, 2, 'y'"),
            _PEOPLE_CHANGES,
        ),
        Table(
            _ODD,
            "CREATE TABLE {t} (id INT, `k``'\"%d\n*/` INT, `select` INT, `v``%b %(x)s \\` VARCHAR(9), b VARCHAR(30),"
            " PRIMARY KEY (id, `k``'\"%d\n*/`))",
            _rows("", "{b} + 1, 1, 1, '%s', 'x'", "{b} + 2, 2, NULL, '%%', '\\\\'''"),
            (*_PEOPLE_CHANGES, "UPDATE {t} SET `k``'\"%d\n*/` = 9, `select` = 3 WHERE id = {b} + 501"),
        ),
        Table(
            "zero_ids",
            "CREATE TABLE {t} (id INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(30))",
            ("INSERT INTO {t} VALUES ({b} + 1, 'x'), (-{b} - 5, 'y')",),
            ("UPDATE {t} SET id = 0 WHERE id = {b} + 1", "UPDATE {t} SET b = 'zero' WHERE id = 0",
             "UPDATE {t} SET id = {b} + 7 WHERE id = 0", "INSERT INTO {t} VALUES (0, 'again')",
             "UPDATE {t} SET id = {b} + 8 WHERE id = 0"),
        ),
    ),
)  # fmt: skip
_LATER = ", ".join(f"PARTITION p{n} VALUES LESS THAN ({n * 1000})" for n in range(1, 5))
PARTITIONS = Family(
    "partitioned tables",
    others=(
        Table(
            "partitioned",
            f"CREATE TABLE {{t}} (id INT PRIMARY KEY, b VARCHAR(30)) PARTITION BY RANGE (id)"
            f" ({_LATER}, PARTITION px VALUES LESS THAN MAXVALUE)",
            _rows("", "{b} + 1, 'x'", "{b} + 2, 'y'", "{b} + 3, NULL"),
            (*_PEOPLE_CHANGES, "UPDATE {t} SET id = id + 3000 WHERE id = {b} + 3"),
        ),
        Table(
            "partitioned_by_hash",
            "CREATE TABLE {t} (id INT, b VARCHAR(30)) PARTITION BY HASH (id) PARTITIONS 4",
            _rows("", "{b} + 1, 'x'", "{b} + 2, 'y'", "{b} + 3, NULL"),
            _PEOPLE_CHANGES,
        ),
    ),
)
VERSIONED = Family(
    "system-versioned tables (MariaDB)",
    others=(
        Table(
            "versioned",
            "CREATE TABLE {t} (id INT PRIMARY KEY, b VARCHAR(30)) WITH SYSTEM VERSIONING",
            _rows("", "{b} + 1, 'x'", "{b} + 2, 'y'"),
            _PEOPLE_CHANGES,
            MARIADB,
        ),
    ),
)
PERIODS = Family(
    "application-time periods (MariaDB)",
    others=(
        Table(
            "periods",
            "CREATE TABLE {t} (id INT, b VARCHAR(30), s DATE, e DATE, PERIOD FOR valid (s, e),"
            " PRIMARY KEY (id, valid WITHOUT OVERLAPS))",
            _rows("", "{b} + 1, 'x', '2024-01-01', '2024-06-01'", "{b} + 2, 'y', '2024-01-01', '2025-01-01'"),
            (
                *_PEOPLE_CHANGES,
                "UPDATE {t} FOR PORTION OF valid FROM '2024-02-01' TO '2024-03-01' SET b = 'p' WHERE id = {b} + 501",
                "DELETE FROM {t} FOR PORTION OF valid FROM '2024-04-01' TO '2024-05-01' WHERE id = {b} + 501",
            ),
            MARIADB,
        ),
    ),
)
SEQUENCES = Family(
    "sequences (MariaDB)",
    others=(
        Table(
            "sequence",
            "CREATE SEQUENCE {t} START WITH 10 INCREMENT BY 3 CACHE 5",
            ("SELECT NEXTVAL({t})",),
            servers=MARIADB,
        ),
    ),
)  # fmt: skip
FAMILIES = (
    GENERATED, INVISIBLE, GIPK, EXPRESSIONS, HASHED, SIZES, PARTITIONS, VERSIONED, PERIODS, SEQUENCES,
)  # fmt: skip
