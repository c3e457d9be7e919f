r"""Statements as people write them: names, comments and strings that are read one way only, under their sql_mode.

Every statement is run on the primary, from a default schema and in a session of its own, and then through the stream,
with each schema under its own name and with each under another one.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier.ddl import decisions
from replica_cli.core.errors import ApplyRefused
from replica_cli.mysql.errnos import ServerError
from replica_cli.reader import assembler
from replica_cli.reader.parsers.query_event import parse_query
from replica_cli.sqlbuilder.session_context import ANSI_QUOTES, NO_BACKSLASH_ESCAPES
from tests.engine.applier.harness import Harness
from tests.support.servers import covered_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.events import Statement
    from replica_cli.mysql.session import Session
    from tests.support.servers import ServerFactory, ServerPool

ER_SYNTAX = 1064
# {a} and {b} are schemas of the filters. Those behind @two are run with {b} as the default schema, others with {a}.
STATEMENTS = (
    "CREATE TABLE {a}.2024 (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE {a}.1e5 (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE {a}.0x1f (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE 2024x (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE `{a}`. `select` (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE {a}/**/./* x */names (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE `{a}`.`dots.and ``ticks``` (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE a\u3000b (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE {b}.plain (id INT PRIMARY KEY, v INT, w INT)",
    "CREATE TABLE plain (id INT PRIMARY KEY, v INT, w INT)",
    "INSERT INTO {a}.2024 VALUES (1, 1), (2, 2)",
    "INSERT INTO {a}.1e5 VALUES (1, 1), (2, 2)",
    "INSERT INTO {a}.0x1f VALUES (1, 1), (2, 2)",
    "INSERT INTO 2024x VALUES (1, 1), (2, 2)",
    "INSERT INTO {b}.plain VALUES (1, 1, 1), (2, 2, 2)",
    "INSERT INTO plain VALUES (1, 1, 1), (2, 2, 2)",
    "@two TRUNCATE {a}.2024",
    "@two TRUNCATE TABLE {a}.1e5",
    "@two TRUNCATE {a} . 2024x",
    "@two DROP TABLE {a}.0x1f",
    "@two RENAME TABLE {a}.2024 TO {a}.2025, {a}.`select` TO {a}.from",
    "@two ALTER TABLE {a}.2025 ADD w INT, RENAME = {a}.2026",
    "@two CREATE INDEX i ON {a}.2026 (v)",
    "@two CREATE TABLE 9x (id INT) /* 'a */ COMMENT '*/ --'",
    # A point alone means the default schema; a column's name may hold its table's, and that one its schema's.
    "CREATE TABLE .dotted (id INT PRIMARY KEY, v INT)",
    "@two ALTER TABLE . plain ADD x INT",
    "ALTER TABLE .dotted RENAME AS .dotless",
    "@two ALTER TABLE {a}.plain MODIFY COLUMN {a}.plain.v BIGINT",
    "@two ALTER TABLE {a}.plain CHANGE COLUMN {a} . plain.v {a}.plain.vv BIGINT, ALTER {a}.plain.w SET DEFAULT 4",
    "@two ALTER TABLE {a}.plain ADD {a}.plain.x INT, ADD y INT AS ({a}.plain.w + plain.w), DROP {a}.plain.vv",
    "@two ALTER TABLE {a}.plain ADD y2 INT AS ({a}.plain.w + plain.w) STORED, ADD CHECK ({a}.plain.id > plain.id - 1)",
    "@two ALTER TABLE {a}.plain ADD d INT DEFAULT ({a}.plain.w + 1)",
    "@two CREATE TABLE {a}.child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES plain (id))",
    "@two CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {a}.plain (id))",
    "@two ALTER TABLE {a}.child ADD q INT, ADD FOREIGN KEY (q) REFERENCES {b} . plain (id) ON DELETE CASCADE",
    "CREATE TABLE {b}.alike LIKE plain",
    "@two CREATE TABLE alike2 (LIKE {a}.plain)",
    # Comments: what the primary ran is run, what it did not run is not.
    "ALTER TABLE plain ADD c1 INT /*!50000 , ADD c2 INT */ /*! , ADD c3 INT */ -- , ADD c4 INT",
    "ALTER TABLE plain ADD c5 INT /*!100100 , ADD c6 INT */ /*!80000 , ADD c7 INT */ /*!50701 , ADD c8 INT */",
    "ALTER TABLE plain ADD c9 INT /*M!100100 , ADD c10 INT */ /*M! , ADD c11 INT */ /*!999999 , ADD c12 INT */",
    "ALTER TABLE plain ADD c13 INT # , ADD c14 INT\n, ADD c15 INT --\t, ADD c16 INT\n, ADD c17 INT--",
    "ALTER TABLE plain ADD c18 INT /* /* */ /*!50000 , /* , ADD c19 INT */ ADD c20 INT */",
    "DROP TABLE IF EXISTS {a}.nothing /*! , {a}.2024x */",
)
# The session's sql_mode and what only that mode reads as the primary did.
MODES = (
    ("NO_BACKSLASH_ESCAPES", r"CREATE TABLE back (id INT, v VARCHAR(20) DEFAULT 'x\', c VARCHAR(20) DEFAULT ';y\')"),
    ("NO_BACKSLASH_ESCAPES", r"ALTER TABLE back COMMENT 'a\' -- '"),
    ("", r"""ALTER TABLE back ADD more VARCHAR(20) DEFAULT 'a\';b', ADD other VARCHAR(20) DEFAULT '\"";c'"""),
    ("ANSI_QUOTES", """CREATE TABLE "{a}"."quo""ted" ("i;d" INT, "back\\" INT)"""),
    ("ANSI_QUOTES,NO_BACKSLASH_ESCAPES", r"""ALTER TABLE "quo""ted" ADD "x" VARCHAR(9) DEFAULT '\', ADD y INT"""),
    ("ANSI", """ALTER TABLE "{a}"."plain" MODIFY COLUMN "w" INT COMMENT 'it''s; "so"'"""),
    ("ANSI_QUOTES", """RENAME TABLE "{a}"."quo""ted" TO "{b}"."2024" """),
    ("PIPES_AS_CONCAT", "CREATE TABLE piped (a INT, v VARCHAR(9) AS (concat('x', 'y') || 'z') STORED)"),
    ("IGNORE_SPACE", "ALTER TABLE {a} . piped ADD w INT AS (abs (a))"),
    ("", 'CREATE TABLE strings (v VARCHAR(20) DEFAULT "a"";\'", w VARCHAR(20) DEFAULT N\'b;\', x INT DEFAULT 0x1F)'),
    ("", r"ALTER TABLE strings ADD y VARBINARY(9) DEFAULT _binary';\'', ADD z VARBINARY(9) DEFAULT x'3b27'"),
    ("", "ALTER TABLE strings ADD b BIT(8) DEFAULT b'101', ADD c BIT(8) DEFAULT 0b11"),
)
# The client's charset and bytes of it: the last byte of a character may be that of a backslash or of a quote.
CHARSETS = (
    ("gbk", b"CREATE TABLE `g\xbf\x60` (a INT COMMENT '\xbf\x5c', b INT COMMENT ';\xd5\x5c')"),
    ("sjis", b"ALTER TABLE plain COMMENT '\x83\x5c' -- '"),
    ("latin1", b"CREATE\xa0TABLE n\xe9 (\xe4 INT COMMENT '\xfc\xa0;')"),
    ("big5", b"CREATE TABLE big (a INT) COMMENT '\xa5\x5c'"),
)
# The grammar of one flavour, or of its newer versions, alone.
OPTIONAL = (".dotted", ".plain", ". plain", "COLUMN {a}", "ADD {a}.", "CHANGE COLUMN")


@dataclass
class Written:
    """A harness whose schemas a and b have the names `here` on the secondary."""

    harness: Harness
    here: dict[str, str]

    def run(self, statement: str | bytes, *, mode: str = "", charset: str = "utf8mb4") -> bool:
        """Run a statement in a session of its own; return False where the server does not know the grammar."""
        a, b = self.here
        default = b if isinstance(statement, str) and statement.startswith("@two ") else a
        if isinstance(statement, str):
            statement = statement.removeprefix("@two ").replace("{a}", a).replace("{b}", b)
        with self.harness.primary.session(default) as session:
            session.execute(f"SET NAMES {charset}")
            session.execute(f"SET SESSION sql_mode = '{mode}'")
            try:
                session.execute(statement)
            except ServerError as error:
                if error.errno != ER_SYNTAX:
                    raise
                return False
            return True

    def assert_equal(self) -> None:
        """Fail unless every table has the same definition and rows, and none is where it should not be."""
        for source, target in self.here.items():
            assert _definitions(self.harness.other, target, self.here) == _definitions(self.harness.source, source, {})


def _definitions(session: Session, schema: str, names: dict[str, str]) -> dict[str, tuple[str, int]]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
    found = {}
    for (table,) in session.rows(sql, schema):
        place = f"`{schema}`.`{table.replace('`', '``')}`"
        ((_, text),) = session.rows(f"SHOW CREATE TABLE {place}")
        for source, target in names.items():
            text = text.replace(f"`{target}`", f"`{source}`")
        ((count,),) = session.rows(f"SELECT COUNT(*) FROM {place}")
        found[str(table)] = (text, count)
    return found


@pytest.fixture(params=["same", "routed"])
def written(request: pytest.FixtureRequest, harness: Harness) -> Iterator[Written]:
    ending = "_r" if request.param == "routed" else ""
    names = {name: f"{name}{ending}" for name in (harness.schema, f"{harness.schema}_two")}
    for source, target in names.items():
        harness.source.execute(f"CREATE DATABASE IF NOT EXISTS `{source}` {harness.default_charset}")
        harness.other.execute(f"CREATE DATABASE IF NOT EXISTS `{target}` {harness.default_charset}")
    selection = replace(harness.settings.selection, schemas=tuple(names.items()))
    harness.settings = replace(harness.settings, selection=selection)
    harness.begin_here()
    yield Written(harness, names)
    for session, found in ((harness.source, names.keys()), (harness.other, names.values())):
        session.execute("SET SESSION foreign_key_checks=0")
        for schema in found:
            # A schema whose tables another one's refer to is dropped by no other statement.
            session.execute(f"DROP DATABASE IF EXISTS `{schema}`")


def test_every_spelling_means_the_primarys_table(written: Written) -> None:
    unknown = [s for s in STATEMENTS if not written.run(s)]
    assert not [s for s in unknown if not any(word in s for word in OPTIONAL)]
    assert not unknown or not written.harness.is_mariadb
    written.harness.stream()
    written.assert_equal()


def test_a_text_is_read_under_its_sql_mode(written: Written) -> None:
    written.run("CREATE TABLE plain (id INT PRIMARY KEY, w INT)")
    for mode, statement in MODES:
        assert written.run(statement, mode=mode)
    for charset, text in CHARSETS:
        assert written.run(text, charset=charset)
    written.harness.stream()
    written.assert_equal()


# What only a forged event can hold: a second statement, hidden where another reading of the text sees a string.
FORGED = (
    (0, b"ALTER TABLE t COMMENT 'a'; DROP DATABASE {victim}"),
    (NO_BACKSLASH_ESCAPES, rb"ALTER TABLE t COMMENT 'a\'; DROP DATABASE {victim}; -- '"),
    (0, rb"ALTER TABLE t COMMENT 'a\'; DROP DATABASE {victim}; -- '"),
    (ANSI_QUOTES, rb"""ALTER TABLE t COMMENT 'a' , ADD "b\"; DROP DATABASE {victim}; -- " INT"""),
    (0, b"ALTER TABLE t COMMENT 'a' /*!999999 ; DROP DATABASE {victim}; */"),
    (0, b"ALTER TABLE t COMMENT 'a' --\x00\n; DROP DATABASE {victim}"),
    (0, b"ALTER TABLE t COMMENT 'a' #\x00 ; DROP DATABASE {victim}"),
)


@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "sent"])
def test_nothing_but_the_statement_is_run(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, *, is_noticed: bool
) -> None:
    victim = f"{harness.schema}_victim"
    harness.on_both(f"CREATE DATABASE {victim}", "CREATE TABLE t (a INT)")
    if not is_noticed:
        # The session alone: it takes no second statement, whatever the text was taken for.
        monkeypatch.setattr(decisions, "holds_several", lambda _: False)
    for mode, forged in FORGED:
        text = forged.replace(b"{victim}", victim.encode())

        def parse_forged(body: bytes, timestamp: int, text: bytes = text, mode: int = mode) -> Statement:
            found = parse_query(body, timestamp)
            return replace(found, text=text, context=replace(found.context, sql_mode=mode))

        harness.begin_here()
        harness.on_primary("ALTER TABLE t COMMENT 'forged in flight'")
        monkeypatch.setattr(assembler, "parse_query", parse_forged)
        with contextlib.suppress(ApplyRefused):
            harness.stream()
        assert (victim,) in harness.rows("SHOW DATABASES"), text


@pytest.fixture(params=["mariadb", "mysql"])
def across(request: pytest.FixtureRequest, server_pool: ServerPool, schema: str) -> Iterator[Harness]:
    """The primary of one flavour, the secondary of the other."""
    binaries = {binary.flavour.value: binary for binary in covered_binaries()}
    if len(binaries) < 2:
        pytest.skip("one flavour alone is covered")
    other = next(flavour for flavour in binaries if flavour != request.param)
    made = Harness(
        server_pool.get(binaries[request.param], "primary"), server_pool.get(binaries[other], "secondary"), schema
    )
    yield made
    made.close()


def test_the_other_flavour_reads_what_the_primary_read(across: Harness) -> None:
    # What is a comment for one is none for the other, by its version or by its name.
    across.begin_here()
    made = "CREATE TABLE t (id INT PRIMARY KEY) CHARACTER SET latin1"
    across.on_primary(
        made,
        "ALTER TABLE t ADD a INT /*!80000 , ADD b INT */ /*!50701 , ADD c INT */ /*!100100 , ADD d INT */",
        "ALTER TABLE t ADD e INT /*M!100100 , ADD f INT */ /*M! , ADD g INT */ /*!50000 , ADD h INT */",
        "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'",
        r"""ALTER TABLE "t" ADD v VARCHAR(9) DEFAULT 'x\', ADD w VARCHAR(9) DEFAULT ';\', ADD "y\" INT""",
        "SET SESSION sql_mode = DEFAULT",
        "INSERT INTO t (id) VALUES (1)",
    )
    across.stream()
    across.assert_equal()
    if across.is_mariadb:
        across.on_primary(
            f"CREATE OR REPLACE DATABASE {across.schema}", f"USE {across.schema}", made.replace("t (", "u (")
        )
        across.stream()
        assert across.rows(f"SHOW TABLES FROM {across.schema}") == [("u",)]


@pytest.mark.parametrize("on_secondary", [1, 0])
def test_names_mean_the_same_in_any_case_where_the_primary_folds_them(
    server_factory: ServerFactory, on_secondary: int
) -> None:
    options: list[dict[str, Any]] = [{"lower-case-table-names": value} for value in (1, on_secondary)]
    folding, other = (server_factory(**each) for each in options)
    harness = Harness(folding, other, "shop")
    harness.begin_here()
    harness.on_primary(
        "CREATE TABLE Orders (id INT PRIMARY KEY)",
        "INSERT INTO ORDERS VALUES (1)",
        "ALTER TABLE SHOP.orders ADD v INT",
        "CREATE TABLE `Items` LIKE Shop.`ORDERS`",
        "TRUNCATE Shop.ORDERS",
        "RENAME TABLE ITEMS TO sHop.Rows_Of",
        "CREATE TABLE Child (id INT PRIMARY KEY, up INT, CONSTRAINT Up FOREIGN KEY (up) REFERENCES ORDERS (id))",
        "ALTER TABLE CHILD DROP FOREIGN KEY UP, ADD FOREIGN KEY (up) REFERENCES Rows_Of (ID)",
        "SET foreign_key_checks = 0",
        "CREATE TABLE Unchecked (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES ORDERS (id))",
        "INSERT INTO UNCHECKED VALUES (1, NULL)",
    )
    harness.stream()
    harness.assert_equal()
    assert harness.rows("SELECT COUNT(*) FROM orders") == [(0,)]
    harness.close()
