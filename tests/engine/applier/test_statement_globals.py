"""What the log does not say of a statement's session and the servers' settings decide: definitions are the primary's.

The globals of one side are changed while a case runs. Sessions of replica inherit them, as an application's do.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, TableChangedInWindow
from replica_cli.runtime.secondary_sessions import SecondarySessions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import Server
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.engine.applier.harness import Harness

pytestmark = pytest.mark.every_release

UTF8 = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET utf8, w TEXT CHARSET utf8)"
WIDE = f"CREATE TABLE t ({', '.join(f'c{n} CHAR(255) CHARACTER SET latin1' for n in range(40))}) ROW_FORMAT=FIXED"
FAMILY = (
    "CREATE TABLE p (id INT PRIMARY KEY, v VARCHAR(9))",
    "CREATE TABLE c (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES p (id))",
    "INSERT INTO c VALUES (1, 77)",
)
NO_KEY = ("CREATE TABLE t (v INT, w VARCHAR(9))", "INSERT INTO t VALUES (1, 'x'), (1, 'x')", "DELETE FROM t LIMIT 1")
# Flavour; globals of the primary, and of the secondary; statements.
CASES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "utf8 is utf8mb4 on the primary": ("mariadb", "old_mode = ''", "old_mode = 'UTF8_IS_UTF8MB3'", (UTF8,)),
    "utf8 is utf8mb3 on the primary": ("mariadb", "old_mode = 'UTF8_IS_UTF8MB3'", "old_mode = ''", (UTF8,)),
    "TIME is cast to a zero date": (
        "mariadb", "old_mode = 'ZERO_DATE_TIME_CAST'", "old_mode = ''",
        ("CREATE TABLE t (v TIME)", "INSERT INTO t VALUES ('10:20:30')", "ALTER TABLE t MODIFY v DATETIME"),
    ),
    "what InnoDB adjusts": ("", "innodb_strict_mode = OFF", "innodb_strict_mode = ON", (WIDE,)),
    "a key block that is ignored": (
        "", "innodb_strict_mode = OFF", "innodb_strict_mode = ON", ("CREATE TABLE t (id INT) KEY_BLOCK_SIZE=64",),
    ),
    "another engine on the secondary": (
        "", "default_storage_engine = InnoDB", "default_storage_engine = MyISAM", FAMILY[:2],
    ),
    "an engine without foreign keys on the primary": (
        "", "default_storage_engine = MyISAM", "default_storage_engine = InnoDB", FAMILY,
    ),
    "an engine that takes every place": (
        "mariadb", "enforce_storage_engine = NULL", "enforce_storage_engine = Aria",
        ("CREATE TABLE t (id INT) ENGINE=InnoDB",),
    ),
    "pages that are compressed unsaid": (
        "mariadb", "innodb_compression_default = OFF", "innodb_compression_default = ON",
        ("CREATE TABLE t (id INT PRIMARY KEY) ROW_FORMAT=COMPRESSED", "CREATE TABLE u (id INT PRIMARY KEY)"),
    ),
    "ALTER that may only be instant": (
        "mariadb", "alter_algorithm = DEFAULT", "alter_algorithm = INSTANT",
        ("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)", "ALTER TABLE t MODIFY v VARCHAR(9)"),
    ),
    "a check that old rows break": (
        "mariadb", "check_constraint_checks = 0", "check_constraint_checks = 1",
        ("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD CONSTRAINT high CHECK (v > 5)"),
    ),
    "timestamps": (
        "", "explicit_defaults_for_timestamp = OFF", "explicit_defaults_for_timestamp = ON",
        ("SET SESSION sql_mode = ''", "SET SESSION sql_mode = ''",
            "CREATE TABLE t (v TIMESTAMP, w TIMESTAMP NULL)", "ALTER TABLE t ADD x TIMESTAMP"),
    ),
    "names of days": (
        "", "lc_time_names = 'de_DE'", "lc_time_names = 'fr_FR'",
        ("CREATE TABLE t (id INT, v VARCHAR(20) AS (DATE_FORMAT('2024-06-01', '%M')) VIRTUAL)",
         "INSERT INTO t (id) VALUES (1)"),
    ),
    "charset of the server": (
        "", "character_set_server = latin1", "character_set_server = utf8mb4",
        ("CREATE DATABASE {schema}_two", "CREATE TABLE {schema}_two.t (v VARCHAR(9))"),
    ),
    "another row format on the secondary": (
        "", "innodb_default_row_format = dynamic", "innodb_default_row_format = redundant",
        ("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(80) CHARACTER SET utf8mb4, KEY (v))",
         "INSERT INTO t VALUES (1, 'x')"),
    ),
    "a key that the secondary wants": (
        "mysql", "sql_require_primary_key = OFF", "sql_require_primary_key = ON", NO_KEY,
    ),
    "a key that the secondary makes": (
        "mysql", "sql_generate_invisible_primary_key = OFF", "sql_generate_invisible_primary_key = ON", NO_KEY,
    ),
    "a key that the primary makes": (
        "mysql", "sql_generate_invisible_primary_key = ON", "sql_generate_invisible_primary_key = OFF", NO_KEY,
    ),
    "a foreign key to a key that is not unique": (
        "mysql", "restrict_fk_on_non_standard_key = OFF", "restrict_fk_on_non_standard_key = ON",
        ("CREATE TABLE p (a INT, KEY (a))",
         "CREATE TABLE c (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (a))"),
    ),
    "the collation of utf8mb4": (
        "mysql", "default_collation_for_utf8mb4 = utf8mb4_general_ci",
        "default_collation_for_utf8mb4 = utf8mb4_0900_ai_ci",
        ("CREATE TABLE t (v VARCHAR(9) CHARACTER SET utf8mb4)",),
    ),
}  # fmt: skip


@contextmanager
def globals_of(server: SandboxServer, setting: str) -> Iterator[None]:
    """Set a global variable while the block runs."""
    name = setting.partition(" ")[0]
    with server.session() as session:
        ((before,),) = session.rows(f"SELECT @@global.{name}")
        session.execute(f"SET GLOBAL {setting}")
        try:
            yield
        finally:
            session.execute(f"SET GLOBAL {name} = %s", before)


def definitions(harness: Harness, *, on_primary: bool) -> dict[str, str]:
    """Return each table's definition as its server writes it, but for its engine: the secondary's is a safe one."""
    session = harness.source if on_primary else harness.other
    asked = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN (%s, %s)"
    found = {}
    for schema, table in session.rows(asked, harness.schema, f"{harness.schema}_two"):
        text = str(session.rows(f"SHOW CREATE TABLE `{schema}`.`{table}`")[0][1])
        found[f"{schema}.{table}"] = text.replace("ENGINE=MyISAM", "ENGINE=InnoDB")
    return found


def collations(session: Session, schema: str) -> list[tuple[object, ...]]:
    """Return the collations of all tables and columns."""
    tables = "SELECT table_name, '', table_collation FROM information_schema.tables WHERE table_schema = %s"
    columns = "SELECT table_name, column_name, collation_name FROM information_schema.columns WHERE table_schema = %s"
    return sorted(session.rows(f"{tables} UNION ALL {columns}", schema, schema), key=str)


# What a table gets where its statement says no charset, or says it by halves.
UNSAID = (
    "CREATE TABLE a (id INT PRIMARY KEY, v VARCHAR(9), w TEXT) COMMENT='charset x'",
    "CREATE TABLE b (id INT NOT NULL, v CHAR(3) CHARACTER SET utf8mb4, w TEXT) PARTITION BY HASH (id) PARTITIONS 2",
    "CREATE TABLE c (id INT PRIMARY KEY, v VARCHAR(9)) CHARSET=utf8mb4",
    "CREATE TABLE d (id INT PRIMARY KEY, v VARCHAR(9)) COLLATE=utf8mb4_bin",
    "CREATE TABLE e LIKE c",
    "CREATE TABLE f (PRIMARY KEY (id)) SELECT id, v, 'x' AS w FROM a",
    "ALTER TABLE a ADD x VARCHAR(9), ADD y VARCHAR(9) COLLATE utf8mb4_bin",
    "INSERT INTO a (id, v, w) VALUES (1, 'é', 'ß')",
    "SET SESSION character_set_database = cp1250",
    "CREATE TABLE g (id INT PRIMARY KEY, v VARCHAR(9))",
)


@pytest.mark.parametrize("ours", ["latin1_german2_ci", "utf8mb4_general_ci"])
def test_a_table_has_the_charset_of_the_primarys_schema(harness: Harness, ours: str) -> None:
    theirs = "latin1_swedish_ci" if ours.startswith("utf8") else "utf8mb4_unicode_ci"
    harness.source.execute(f"ALTER DATABASE `{harness.schema}` COLLATE {ours}")
    harness.other.execute(f"ALTER DATABASE `{harness.schema}` COLLATE {theirs}")
    harness.begin_here()
    with harness.primary.session(harness.schema) as session:
        for statement in UNSAID:
            session.execute(statement)
    harness.stream()
    assert collations(harness.other, harness.schema) == collations(harness.source, harness.schema)
    harness.assert_equal()


@pytest.mark.parametrize("name", CASES)
def test_a_definition_is_the_primarys_whatever_the_servers_are_set_to(harness: Harness, name: str) -> None:
    flavour, ours, theirs, statements = CASES[name]
    if flavour not in ("", harness.primary.binary.flavour):
        pytest.skip(f"a variable of {flavour}")
    two = f"{harness.schema}_two"
    selection = replace(harness.settings.selection, schemas=((harness.schema, harness.schema), (two, two)))
    harness.settings = replace(harness.settings, selection=selection)
    with ExitStack() as stack:
        stack.enter_context(globals_of(harness.primary, ours))
        stack.enter_context(globals_of(harness.secondary, theirs))
        harness.begin_here()
        with harness.primary.session(harness.schema) as session:
            session.execute("SET SESSION sql_mode = DEFAULT")
            for statement in statements:
                session.execute(statement.replace("{schema}", harness.schema))
            # Behind them, one of a session that is as any.
            session.execute("CREATE TABLE behind (id INT PRIMARY KEY)")
        harness.stream()
    assert definitions(harness, on_primary=False) == definitions(harness, on_primary=True)
    harness.assert_equal()
    assert all("ENGINE=InnoDB" in text for text in definitions(harness, on_primary=False).values())


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE u (id INT PRIMARY KEY, v VARCHAR(9)) CHARACTER SET = DEFAULT",
        "ALTER TABLE t CONVERT TO CHARACTER SET DEFAULT",
    ],
)
def test_a_default_by_its_word_is_not_guessed(harness: Harness, statement: str) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9))")
    harness.begin_here()
    harness.on_primary(statement)
    harness.stream()
    harness.on_secondary(f"ALTER DATABASE `{harness.schema}` CHARACTER SET latin1")
    harness.on_primary(statement.replace("TABLE u", "TABLE w"))
    with pytest.raises(TableChangedInWindow, match="CHARACTER SET DEFAULT"):
        harness.stream()


# As docs/accounts.md grants them; what the secondary is set to, and what a statement then needs a privilege for.
GRANTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, TRIGGER ON `{schema}%`.* TO {user}",
    "GRANT {replay} ON *.* TO {user}",
)
PRIVILEGED = {
    "mariadb": ("enforce_storage_engine = Aria", "BINLOG REPLAY"),
    "mysql": ("sql_generate_invisible_primary_key = ON", "REPLICATION_APPLIER"),
}


@pytest.fixture
def plain_user(harness: Harness) -> Iterator[Server]:
    """Give the secondary by a user with the privileges that docs/accounts.md names, and no other."""
    _, replay = PRIVILEGED[harness.secondary.binary.flavour]
    user = f"u_{harness.schema}"
    with harness.secondary.session() as session:
        session.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'a-Long-enough-1'")
        for grant in GRANTS:
            session.execute(grant.format(schema=harness.schema, user=f"{user}@'%'", replay=replay))
        yield harness.secondary.address(user, name=harness.target.name, password="a-Long-enough-1")
        session.execute(f"DROP USER {user}@'%'")


def test_a_user_who_may_set_nothing_special(harness: Harness, plain_user: Server) -> None:
    hostile, _ = PRIVILEGED[harness.secondary.binary.flavour]

    def stream() -> None:
        with SecondarySessions.open(harness.settings, plain_user) as sessions:
            harness.streaming(sessions, is_diagnostic=True).run(until_caught_up=True)

    harness.begin_here()
    with globals_of(harness.secondary, "innodb_strict_mode = ON"):
        harness.on_primary("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD w INT")
        stream()
        harness.assert_equal()
    with globals_of(harness.secondary, hostile):
        harness.on_primary("ALTER TABLE t DROP w" if harness.is_mariadb else "CREATE TABLE u (v INT)")
        with pytest.raises(ApplyRefused, match=rf"this user on db1 may not set .*\({hostile.split()[0]}\)"):
            stream()
    # Once the secondary is as the primary, nothing has to be set.
    stream()
    harness.assert_equal()
