"""Drift found between real servers, and ended by the statements that the check prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.core.differences import AcceptedDrift, Aspect, DriftReport, Severity
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Settings
from replica_cli.mysql.errnos import ServerError
from replica_cli.service.drift import check_drift

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

PARENT = "CREATE TABLE {s}.parent (id INT UNSIGNED NOT NULL PRIMARY KEY, n VARCHAR(30) NOT NULL)"
PLAIN = "CREATE TABLE {s}.plain (id INT PRIMARY KEY, v VARCHAR(10), w INT, KEY kw (w))"
RICH = """CREATE TABLE {s}.rich (id INT UNSIGNED NOT NULL AUTO_INCREMENT, pid INT UNSIGNED,
  n VARCHAR(30) NOT NULL DEFAULT 'x''y', d DECIMAL(10,2) DEFAULT 1.5, e ENUM('a','b') DEFAULT 'b',
  t TEXT DEFAULT (LOWER('X')), ts TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  g INT AS (pid * 2) VIRTUAL, h VARCHAR(60) AS (CONCAT(n, '!')) STORED, j JSON,
  la VARCHAR(10) CHARACTER SET latin1 DEFAULT 'é', c INT CHECK (c <> 7), PRIMARY KEY (id), UNIQUE KEY u (n, d),
  KEY k (n(5), e), FULLTEXT KEY ft (t), KEY kg (g), CONSTRAINT ck CHECK (d > 0),
  CONSTRAINT fk_a FOREIGN KEY (pid) REFERENCES {s}.parent (id) ON DELETE CASCADE)"""
GONE = """CREATE TABLE {s}.gone (id INT PRIMARY KEY, p INT UNSIGNED, KEY (p),
  CONSTRAINT fk_g FOREIGN KEY (p) REFERENCES {s}.parent (id))"""
OTHER_RICH = """CREATE TABLE {s}.rich (id BIGINT NOT NULL AUTO_INCREMENT, pid INT UNSIGNED,
  n VARCHAR(30) CHARACTER SET latin1, e ENUM('a','b','c'), d DECIMAL(8,2) NOT NULL DEFAULT 2.5,
  ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, t MEDIUMTEXT, g INT AS (pid * 3) VIRTUAL, h VARCHAR(60), j JSON,
  la VARCHAR(10) CHARACTER SET utf8mb4 DEFAULT 'e', c INT CHECK (c <> 8), more INT DEFAULT 3, PRIMARY KEY (id, n),
  UNIQUE KEY u (n), KEY k (n(6), e), KEY kx (e), KEY kg (g), KEY fkx (pid), CONSTRAINT ck CHECK (d > 1),
  CONSTRAINT ck2 CHECK (d < 100), CONSTRAINT fk_a FOREIGN KEY (pid) REFERENCES {s}.parent (id))"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers and a schema that is routed to another name."""

    primary: SandboxServer
    secondary: SandboxServer
    schema: str

    @property
    def target(self) -> str:
        return f"{self.schema}_there"

    def make(self, primary: tuple[str, ...], secondary: tuple[str, ...]) -> None:
        for server, schema, tables in (
            (self.primary, self.schema, primary),
            (self.secondary, self.target, secondary),
        ):
            with server.session() as session:
                session.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
                for statement in tables:
                    session.execute(statement.format(s=schema))

    def check(self, *accepted: AcceptedDrift, **selection: Any) -> DriftReport:
        there = self.secondary.address(name="there")
        chosen = Selection(((self.schema, self.target),), **selection)
        return check_drift(Settings(self.primary.address(), (there,), chosen, accepted_drift=accepted), there)

    def repair(self, report: DriftReport) -> None:
        with self.secondary.session() as session:
            for statement in report.statements:
                if not all(line.startswith("-- ") for line in statement.splitlines()):
                    session.execute(statement)


@pytest.fixture
def pair(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Pair:
    return Pair(primary, secondary, schema)


def lines(server: SandboxServer, schema: str, table: str) -> list[str]:
    """Return what the server itself says of a table, its indexes in any order."""
    with server.session() as session:
        row = session.row(f"SHOW CREATE TABLE {schema}.{table}")
        assert row is not None
        return sorted(line.rstrip(",") for line in str(row[1]).splitlines())


def found(report: DriftReport) -> dict[tuple[str, str, str], Severity]:
    return {(d.table.table, d.aspect, d.name): d.severity for d in report.differences}


def test_equal_tables_have_no_drift(pair: Pair) -> None:
    tables = (PARENT, RICH, GONE, PLAIN)
    pair.make(tables, tables)
    assert pair.check() == DriftReport("there", (), ())


def test_what_is_printed_ends_the_drift(pair: Pair) -> None:
    other_parent = (
        "CREATE TABLE {s}.parent (id INT UNSIGNED NOT NULL PRIMARY KEY, n VARCHAR(20) NOT NULL, x INT NOT NULL)"
    )
    trigger = "CREATE TRIGGER {s}.tr BEFORE INSERT ON {s}.plain FOR EACH ROW SET NEW.v = 'z'"
    pair.make((PARENT, RICH, GONE, PLAIN), (other_parent, OTHER_RICH, PLAIN, trigger))
    before = pair.check()
    aspects = {d.aspect for d in before.differences}
    assert aspects == set(Aspect) - {
        Aspect.EXTRA_TABLE, Aspect.KIND, Aspect.ENGINE, Aspect.TABLE_COLLATION, Aspect.COLLATION, Aspect.MISSING_COLUMN,
    }  # fmt: skip
    pair.repair(before)
    assert pair.check().differences == ()
    for table in ("parent", "rich", "gone", "plain"):
        assert lines(pair.secondary, pair.target, table) == lines(pair.primary, pair.schema, table)


@pytest.mark.parametrize(
    ("change", "where", "severity"),
    [
        ("DROP TABLE {s}.plain", "plain/missing table/", "breaks"),
        ("ALTER TABLE {s}.plain ADD y INT NOT NULL", "plain/extra column/y", "breaks"),
        ("ALTER TABLE {s}.plain ADD y INT DEFAULT 1", "plain/extra column/y", "differs"),
        ("ALTER TABLE {s}.plain ADD y INT FIRST", "plain/extra column/y", "breaks"),
        ("ALTER TABLE {s}.plain DROP v", "plain/missing column/v", "breaks"),
        ("ALTER TABLE {s}.plain MODIFY w INT AFTER id", "plain/column order/", "breaks"),
        ("ALTER TABLE {s}.plain MODIFY w BIGINT", "plain/column type/w", "breaks"),
        ("ALTER TABLE {s}.plain MODIFY w INT DEFAULT 7", "plain/default/w", "differs"),
        ("ALTER TABLE {s}.plain MODIFY w INT NOT NULL", "plain/nullability/w", "breaks"),
        ("ALTER TABLE {s}.parent MODIFY n VARCHAR(30)", "parent/nullability/n", "differs"),
        ("ALTER TABLE {s}.plain MODIFY v VARCHAR(10) COLLATE utf8mb4_bin", "plain/collation/v", "differs"),
        ("ALTER TABLE {s}.plain COLLATE utf8mb4_bin", "plain/table collation/", "differs"),
        ("ALTER TABLE {s}.plain ENGINE = MyISAM", "plain/engine/", "breaks"),
        ("ALTER TABLE {s}.plain DROP KEY kw", "plain/index/kw", "differs"),
        ("ALTER TABLE {s}.plain ADD UNIQUE more (v)", "plain/index/more", "breaks"),
        ("ALTER TABLE {s}.plain DROP PRIMARY KEY", "plain/index/PRIMARY", "breaks"),
        ("ALTER TABLE {s}.plain ADD CONSTRAINT ck CHECK (w > 0)", "plain/check/ck", "breaks"),
        ("ALTER TABLE {s}.gone DROP FOREIGN KEY fk_g", "gone/foreign key/fk_g", "differs"),
    ],
)
def test_each_kind_of_drift(pair: Pair, change: str, where: str, severity: str) -> None:
    tables = (PARENT, PLAIN, GONE)
    pair.make(tables, (*tables, change))
    report = pair.check()
    assert found(report) == {tuple(where.split("/")): severity}
    pair.repair(report)
    assert pair.check().differences == ()


NO_CHECK, OF_COLUMN, OF_TABLE = ("", ""), (" CHECK (c <> 7)", ""), ("", ", CONSTRAINT c CHECK (c > 0)")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(NO_CHECK, OF_TABLE), (NO_CHECK, OF_COLUMN), (OF_COLUMN, OF_TABLE), (OF_TABLE, OF_COLUMN)],
    ids=["extra-of-table", "extra-of-column", "column-for-table", "table-for-column"],
)
def test_a_check_with_the_name_of_a_column_is_replaced_where_it_belongs(
    pair: Pair, ours: tuple[str, str], theirs: tuple[str, str]
) -> None:
    table = "CREATE TABLE {s}.t (id INT PRIMARY KEY, c INT%s, KEY c (c)%s)"
    pair.make((table % ours,), (table % theirs,))
    pair.repair(pair.check())
    assert pair.check().differences == ()
    assert lines(pair.secondary, pair.target, "t") == lines(pair.primary, pair.schema, "t")


def test_an_extra_table_is_only_named(pair: Pair) -> None:
    pair.make((PLAIN,), (PLAIN, "CREATE TABLE {s}.`x``\ny` (id INT)"))
    report = pair.check()
    assert found(report) == {("x`\ny", "extra table", ""): "differs"}
    (statement,) = report.statements
    assert statement.startswith("-- ")
    assert "\n" not in statement


def test_lost_values_and_copies_are_announced(pair: Pair) -> None:
    pair.make((PARENT, PLAIN), ("CREATE TABLE {s}.plain (id INT PRIMARY KEY, w INT, x INT, KEY kw (w))",))
    text = "\n".join(pair.check().statements)
    assert f"replica transfer --table {pair.schema}.parent" in text
    assert f"replica transfer --table {pair.schema}.plain" in text
    assert "-- the values of column x are lost" in text


def test_a_wider_column_of_the_primary_is_no_loss(pair: Pair) -> None:
    pair.make(
        ("CREATE TABLE {s}.t (id INT PRIMARY KEY, a BIGINT, b VARCHAR(20), c INT, d CHAR(9) CHARACTER SET utf8mb4)",),
        ("CREATE TABLE {s}.t (id INT PRIMARY KEY, a INT, b VARCHAR(9), c BIGINT, d CHAR(9) CHARACTER SET latin1)",),
    )
    report = pair.check()
    assert {name for _, _, name in found(report)} == {"a", "b", "c", "d"}
    warnings = [line for s in report.statements for line in s.splitlines() if line.startswith("-- ")]
    assert warnings == ["-- column c: values that do not fit int are refused, cut or changed"]


def test_an_engine_that_the_copy_replaces_is_shown_as_it_is_on_the_primary(pair: Pair) -> None:
    table = "CREATE TABLE {s}.t (id INT PRIMARY KEY) ENGINE = MyISAM"
    pair.make((table,), (table,))
    report = pair.check()
    assert [(d.aspect, d.primary, d.secondary) for d in report.differences] == [
        (Aspect.ENGINE, "MyISAM (InnoDB on a secondary)", "MyISAM")
    ]
    pair.repair(report)
    assert pair.check().differences == ()


def test_what_is_accepted_is_neither_counted_nor_put_right(pair: Pair) -> None:
    changes = ("ALTER TABLE {s}.plain DROP KEY kw", "ALTER TABLE {s}.plain ENGINE = MyISAM", "DROP TABLE {s}.gone")
    tables = (PARENT, PLAIN, GONE)
    pair.make(tables, (*tables, *changes))
    every = {d.aspect for d in pair.check().differences}
    assert every == {Aspect.INDEX, Aspect.ENGINE, Aspect.MISSING_TABLE}
    report = pair.check(AcceptedDrift("*.plain", "index", "k*"), AcceptedDrift("*", "missing-table"))
    assert {d.aspect for d in report.differences} == {Aspect.ENGINE}
    assert {d.aspect for d in report.accepted} == {Aspect.INDEX, Aspect.MISSING_TABLE}
    pair.repair(report)
    report = pair.check(AcceptedDrift(f"{pair.schema}.plain", "index"), AcceptedDrift("*.gone"))
    assert (report.differences, report.statements, len(report.accepted)) == ((), (), 2)
    assert len(pair.check(AcceptedDrift("*.pla[i]n")).differences) == 2


def test_only_selected_tables_count(pair: Pair) -> None:
    pair.make((PARENT, GONE, PLAIN), (PLAIN, "CREATE TABLE {s}.gone (id INT PRIMARY KEY, p INT UNSIGNED, KEY (p))"))
    excluded = (f"{pair.schema}.parent",)
    # The parent is not replicated, so the child cannot have its foreign key.
    assert pair.check(excluded_tables=excluded).differences == ()


def test_a_missing_schema_is_made(pair: Pair) -> None:
    pair.make((PARENT, RICH), ())
    with pair.secondary.session() as session:
        session.execute(f"DROP DATABASE {pair.target}")
    pair.repair(pair.check())
    assert pair.check().differences == ()


@pytest.mark.parametrize(("primary_flavour", "secondary_flavour"), [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_the_other_flavour_holds_the_same_table(
    server_factory: ServerFactory, primary_flavour: str, secondary_flavour: str
) -> None:
    pair = Pair(server_factory(primary_flavour), server_factory(secondary_flavour), "shop")
    # utf8mb4's default collation is not the same on both sides, so this schema asks for one that is.
    tail = " CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
    tables = (PARENT + tail, RICH + tail, GONE + tail, PLAIN + tail)
    pair.make(tables, ())
    report = pair.check()
    assert {d.aspect for d in report.differences} == {Aspect.MISSING_TABLE}
    pair.repair(report)
    assert pair.check().differences == ()
    with pair.secondary.session() as session:
        session.execute("ALTER TABLE shop_there.rich DROP j, DROP INDEX k, DROP CONSTRAINT ck, MODIFY la CHAR(3)")
    report = pair.check()
    assert {d.name for d in report.differences} == {"j", "k", "la", "ck"}
    pair.repair(report)
    assert pair.check().differences == ()


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_how_mariadb_stores_a_column_is_no_drift_of_a_copy(server_factory: ServerFactory, flavour: str) -> None:
    primary = server_factory("mariadb")
    pair = Pair(primary, server_factory(flavour), "shop")
    with primary.session() as session:
        session.execute("SET GLOBAL mysql56_temporal_format = OFF")
    table = (
        "CREATE TABLE {s}.stored (id INT PRIMARY KEY, v VARCHAR(200) COMPRESSED, b LONGBLOB COMPRESSED, t DATETIME(3))"
    )
    pair.make((f"{table} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",), ())
    pair.repair(pair.check())
    assert pair.check().differences == ()


def test_nothing_is_written(pair: Pair) -> None:
    pair.make((PLAIN,), ())
    pair.check()
    with pair.secondary.session() as session, pytest.raises(ServerError):
        session.rows(f"SELECT * FROM {pair.target}.plain")
