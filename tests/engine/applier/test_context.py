"""The session of each statement: every part of it changes what a definition becomes, on both servers alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused
from tests.engine.applier.harness import Harness
from tests.support.servers import covered_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import ServerPool

pytestmark = pytest.mark.every_release

# What the session is set to, and a statement whose outcome depends on it; then rows that show more of it.
EFFECTS: dict[str, tuple[str, str | bytes]] = {
    "sql_mode ANSI_QUOTES": ("sql_mode = 'ANSI_QUOTES'", 'CREATE TABLE "q ""t" ("a b" INT DEFAULT 3)'),
    "sql_mode NO_BACKSLASH_ESCAPES": (
        "sql_mode = 'NO_BACKSLASH_ESCAPES'", r"CREATE TABLE t (v VARCHAR(20) DEFAULT 'a\', w VARCHAR(9) DEFAULT '\n')",
    ),
    "sql_mode REAL_AS_FLOAT": ("sql_mode = 'REAL_AS_FLOAT'", "CREATE TABLE t (v REAL)"),
    "sql_mode PIPES_AS_CONCAT": (
        "sql_mode = 'PIPES_AS_CONCAT'", "CREATE TABLE t (a INT, v VARCHAR(9) AS (CONCAT('x', 'y') || 'z') STORED)",
    ),
    "sql_mode, a zero date": ("sql_mode = ''", "CREATE TABLE t (d DATE DEFAULT 0, e DATE DEFAULT '2024-02-00')"),
    "sql_mode, cut values": ("sql_mode = ''", "ALTER TABLE old MODIFY v VARCHAR(2), MODIFY n TINYINT"),
    "auto value on zero": (
        "sql_mode = 'NO_AUTO_VALUE_ON_ZERO'", "ALTER TABLE zero MODIFY id INT NOT NULL AUTO_INCREMENT",
    ),
    "time_zone": ("time_zone = '+05:00'", "CREATE TABLE t (id INT, v TIMESTAMP NOT NULL DEFAULT '2024-01-01 00:00')"),
    "time_zone, converted": ("time_zone = '-03:30'", "ALTER TABLE old MODIFY moment TIMESTAMP NULL"),
    "timestamp": ("timestamp = 1000000000.25", "ALTER TABLE old ADD COLUMN made DATETIME(6) NOT NULL DEFAULT NOW(6)"),
    "foreign_key_checks": (
        "foreign_key_checks = 0", "CREATE TABLE t (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES later (id))",
    ),
    "foreign_key_checks, drop": ("foreign_key_checks = 0", "DROP TABLE parent"),
    "collation_server": ("collation_server = latin1_german2_ci", "CREATE DATABASE {schema}_two"),
    "collation_connection": (
        "collation_connection = utf8mb4_bin", "CREATE TABLE t (v INT AS ('a' = CONVERT('A' USING utf8mb4)) STORED)",
    ),
    "character_set_client": ("character_set_client = latin1", b"CREATE TABLE `t\xe9` (`\xe4` INT COMMENT '\xfc')"),
    "explicit timestamps off": ("explicit_defaults_for_timestamp = 0", "CREATE TABLE t (v TIMESTAMP)"),
    "explicit timestamps on": ("explicit_defaults_for_timestamp = 1", "CREATE TABLE t (v TIMESTAMP)"),
    "unique_checks": ("unique_checks = 0", "CREATE TABLE t (id INT PRIMARY KEY, v INT UNIQUE)"),
    "nothing": ("timestamp = DEFAULT", "CREATE TABLE t (v VARCHAR(9) CHARACTER SET utf8mb4, w TIMESTAMP)"),
}  # fmt: skip
# Those that name a charset and leave its collation to the session.
CHARSETS = (
    "CREATE TABLE t (v VARCHAR(9) CHARACTER SET utf8mb4, w TEXT CHARSET utf8mb3, x CHAR(3) CHARACTER SET latin1)",
    "CREATE TABLE t (v VARCHAR(9), w NCHAR(3)) DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE t (v VARCHAR(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) COLLATE=utf8mb4_bin, CHARSET=utf8mb4",
    "ALTER TABLE old CONVERT TO CHARACTER SET utf8mb4",
    "CREATE TABLE t (a INT, v VARCHAR(20) CHARACTER SET utf8mb4 DEFAULT 'a, CHARSET b', w INT) CHARSET utf8mb4",
    "CREATE DATABASE {schema}_two CHARACTER SET utf8mb4",
)
BEFORE = (
    "CREATE TABLE old (id INT PRIMARY KEY, v VARCHAR(9), n INT, moment DATETIME) CHARACTER SET latin1",
    "INSERT INTO old VALUES (1, 'long', 1000, '2024-05-05 12:00:00'), (2, 'x', 1, NULL), (3, 'y', 2, NULL)",
    "CREATE TABLE zero (id INT NOT NULL PRIMARY KEY)",
    "INSERT INTO zero VALUES (0), (4)",
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id))",
)


def tables(harness: Harness, *, on_primary: bool) -> list[tuple[str, str]]:
    """Return every table's definition as its server writes it, and the schemas' defaults."""
    session = harness.source if on_primary else harness.other
    names = session.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", harness.schema)
    found = [(str(n), str(session.rows(f"SHOW CREATE TABLE `{n.replace('`', '``')}`")[0][1])) for (n,) in names]
    schemas = (
        "SELECT schema_name, default_collation_name FROM information_schema.schemata WHERE LEFT(schema_name, %s) = %s"
    )
    found += [
        (str(s), str(c)) for s, c in session.rows(schemas, len(harness.schema), harness.schema) if "_state" not in s
    ]
    return sorted(found)


def run(harness: Harness, setting: str, statement: str | bytes) -> None:
    with harness.primary.session(harness.schema) as session:
        session.execute("SET SESSION sql_mode = DEFAULT")
        session.execute(f"SET SESSION {setting}")
        text = statement.replace("{schema}", harness.schema) if isinstance(statement, str) else statement
        session.execute(text)


@pytest.fixture
def old(harness: Harness) -> Harness:
    harness.on_both(*BEFORE)
    schemas = ((harness.schema, harness.schema), (f"{harness.schema}_two", f"{harness.schema}_two"))
    harness.settings = replace(harness.settings, selection=replace(harness.settings.selection, schemas=schemas))
    harness.begin_here()
    return harness


@pytest.mark.covers("the session's context of a DDL", has_no_rows=True)
@pytest.mark.parametrize("name", EFFECTS)
def test_a_definition_is_the_same_on_both(old: Harness, name: str) -> None:
    run(old, *EFFECTS[name])
    # Behind it, one of a session that is as any: nothing of the first may be left.
    run(old, "timestamp = DEFAULT", "CREATE TABLE behind (v TIMESTAMP, w VARCHAR(3) CHARACTER SET utf8mb4, x DATE)")
    old.on_primary("INSERT INTO old (id, v) VALUES (7, 'x')" if "cut" not in name else "SELECT 1")
    old.stream()
    assert tables(old, on_primary=False) == tables(old, on_primary=True)
    old.assert_equal()


@pytest.mark.parametrize("statement", CHARSETS)
@pytest.mark.parametrize("collation", ["", "utf8mb4_bin", "DEFAULT"])
def test_a_charset_without_its_collation(old: Harness, statement: str, collation: str) -> None:
    has_map = bool(old.source.rows("SHOW VARIABLES LIKE 'character_set_collations'"))
    setting = "timestamp = DEFAULT"
    if has_map and collation != "DEFAULT":
        setting = f"character_set_collations = '{collation and 'utf8mb4=' + collation}'"
    elif not old.is_mariadb and not collation:
        setting = "default_collation_for_utf8mb4 = utf8mb4_general_ci"
    run(old, setting, statement)
    run(old, "timestamp = DEFAULT", "CREATE TABLE behind (w VARCHAR(3) CHARACTER SET utf8mb4)")
    old.stream()
    assert tables(old, on_primary=False) == tables(old, on_primary=True)


@pytest.fixture
def other_version(server_pool: ServerPool, harness: Harness) -> Iterator[Harness]:
    """The same flavour, another version on the secondary."""
    mine = harness.primary.binary
    other = next((b for b in covered_binaries() if b.flavour == mine.flavour and b != mine), None)
    if other is None:
        pytest.skip("one version alone is covered")
    made = Harness(harness.primary, server_pool.get(other, "secondary"), harness.schema)
    yield made
    made.close()


@pytest.mark.parametrize("statement", [CHARSETS[0], *CHARSETS[3:5]])
@pytest.mark.parametrize("collation", [None, "utf8mb4_bin", ""])
def test_a_charset_without_its_collation_on_another_version(
    other_version: Harness, statement: str, collation: str | None
) -> None:
    harness = other_version
    has_map = bool(harness.source.rows("SHOW VARIABLES LIKE 'character_set_collations'"))
    if collation is not None and not has_map:
        pytest.skip("sessions of this version have no such map")
    harness.on_both(*BEFORE[:1])
    for session in (harness.source, harness.other):
        session.execute(f"ALTER DATABASE `{harness.schema}` COLLATE utf8mb4_general_ci")
    harness.begin_here()
    setting = (
        f"character_set_collations = '{collation and 'utf8mb4=' + collation}'"
        if collation is not None
        else "timestamp = DEFAULT"
    )
    run(harness, setting, statement)
    harness.stream()
    assert collations(harness, on_primary=False) == collations(harness, on_primary=True)


@pytest.mark.servers("mariadb", "11.8")
def test_a_collation_that_cannot_be_said_is_refused(other_version: Harness) -> None:
    harness = other_version
    harness.begin_here()
    harness.on_primary("CREATE TABLE t (v NCHAR(3))")
    with pytest.raises(ApplyRefused, match="CHARACTER SET utf8mb3"):
        harness.stream()


def collations(harness: Harness, *, on_primary: bool) -> list[tuple[object, ...]]:
    session = harness.source if on_primary else harness.other
    return session.rows(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE table_schema = %s "
        "ORDER BY 1, 2",
        harness.schema,
    )
