"""The catalog read from real servers, and the same table made from SHOW CREATE TABLE's text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Network
from replica_cli.core.table import ForeignKey, IndexColumn, TableDefinition, TableName
from replica_cli.mysql.catalog.table_definitions import read_catalog, read_columns, read_table, read_tables, show_create
from replica_cli.mysql.session import connect
from replica_cli.sqlbuilder.definitions.create_statements import create_statements
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release

# Everything here is understood by both flavours; {ignored} is what each calls an index that is not used.
HARD = """CREATE TABLE {s}.hard (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT, a VARCHAR(20) NOT NULL DEFAULT 'it''s \\\\ x', b CHAR(5), c INT DEFAULT 5,
  d DECIMAL(5,2) DEFAULT -1.50, e DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  f VARCHAR(40) DEFAULT (CONCAT('a', 'b')), g BIT(3) DEFAULT b'101', h BINARY(4) DEFAULT x'61620000',
  i ENUM('a', 'b,''c', 'd)') DEFAULT 'd)', j JSON, k YEAR DEFAULT 2020, l TEXT DEFAULT ('xyz'),
  m INT AS (c + 1) VIRTUAL, n VARCHAR(50) AS (CONCAT(a, 'z')) STORED, o DOUBLE DEFAULT 1e100,
  q TIMESTAMP NULL DEFAULT NULL, r DATE DEFAULT '2020-01-01', s VARCHAR(10) DEFAULT '', t VARCHAR(10) DEFAULT 'NULL',
  u INT INVISIBLE DEFAULT 3, v BIGINT(20) ZEROFILL, z VARCHAR(10) CHARACTER SET latin1 DEFAULT 'é',
  bb VARCHAR(40) DEFAULT 'current_timestamp()', `we``ird, (n)'" */` INT COMMENT 'c''om\\\\m\\nnl */',
  PRIMARY KEY (id), UNIQUE KEY uq (a(3), b DESC), KEY `k,2` (c DESC, id), KEY unseen (k) {ignored},
  FULLTEXT KEY ft (a), CONSTRAINT `ch``1` CHECK (c > 0 AND a <> 'x''y'))"""
CHILD = """CREATE TABLE {s}.child (id INT PRIMARY KEY, pid INT UNSIGNED, x INT, KEY (x),
  CONSTRAINT fk1 FOREIGN KEY (pid) REFERENCES {s}.hard (id) ON DELETE CASCADE ON UPDATE SET NULL) AUTO_INCREMENT=77"""
DEFAULTS = {
    "id": None, "a": r"'it''s \\ x'", "b": "NULL", "c": "5", "d": "-1.50", "e": "CURRENT_TIMESTAMP(3)", "g": "b'101'",
    "h": "x'6162'", "i": "'d)'", "j": "NULL", "k": "2020", "m": None, "n": None, "o": "1e100", "q": "NULL",
    "r": "'2020-01-01'", "s": "''", "t": "'NULL'", "u": "3", "z": "'é'", "bb": "'current_timestamp()'",
}  # fmt: skip


def make(session: Session, schema: str) -> None:
    session.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    session.execute(HARD.format(s=schema, ignored="IGNORED" if session.is_mariadb else "INVISIBLE"))
    session.execute(CHILD.format(s=schema))
    session.execute(f"CREATE TRIGGER {schema}.tr BEFORE INSERT ON {schema}.child FOR EACH ROW SET NEW.x = 1")
    session.execute(f"CREATE VIEW {schema}.seen AS SELECT 1")


def test_both_flavours_say_the_same(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        make(session, schema)
        catalog = read_catalog(session, [schema, "not_there"])
        hard, child = (catalog[TableName(schema, t)] for t in ("hard", "child"))
        assert len(catalog) == 2
        assert {n: hard.columns_by_name[n].default for n in DEFAULTS} == DEFAULTS
        assert hard.columns_by_name["f"].default in ("(concat('a','b'))", "(concat(_utf8mb4'a',_utf8mb4'b'))")
        assert [c.name for c in hard.columns if c.is_generated] == ["m", "n"]
        assert [c.name for c in hard.columns if "INVISIBLE" in c.extra.upper()] == ["u"]
        assert hard.columns[-1].name == "we`ird, (n)'\" */"
        assert hard.columns[-1].comment == "c'om\\m\nnl */"
        assert hard.columns_by_name["i"].members == ("a", "b,'c", "d)")
        assert hard.columns_by_name["e"].fraction_digits == 3
        assert (hard.columns_by_name["z"].charset, hard.columns_by_name["z"].octet_length) == ("latin1", 10)
        indexes = {i.name: i for i in hard.indexes}
        assert indexes["uq"].columns == (IndexColumn("a", 3), IndexColumn("b", is_descending=True))
        assert [c.name for c in indexes["k,2"].columns] == ["c", "id"]
        assert [i.name for i in hard.indexes if not i.is_visible] == ["unseen"]
        assert (indexes["ft"].kind, indexes["PRIMARY"].is_unique) == ("FULLTEXT", True)
        assert "ch`1" in dict(hard.checks)
        parent = TableName(schema, "hard")
        assert child.foreign_keys == (ForeignKey("fk1", ("pid",), parent, ("id",), "SET NULL", "CASCADE"),)
        assert child.triggers == ("tr",)
        assert read_table(session, parent) == hard
        assert read_table(session, TableName(schema, "nowhere")) is None
        assert read_table(session, TableName(schema, "seen")) is None


def test_names_differ_by_case(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.t (a INT)")
        session.execute(f"CREATE TABLE {schema}.T (b INT)")
        found = read_catalog(session, [schema])
        names = {n.table: [c.name for c in d.columns] for n, d in found.items()}
        assert names == {"t": ["a"], "T": ["b"]}
        upper = read_table(session, TableName(schema, "T"))
        assert upper is not None
        assert upper.columns[0].name == "b"


def copies(session: Session, schema: str) -> list[tuple[TableDefinition, TableDefinition]]:
    """Make every table again in another schema, in the catalog's order, and return both definitions of each."""
    target = f"{schema}_copy"
    session.execute(f"CREATE DATABASE {target}")

    def route(name: TableName) -> TableName:
        return TableName(target, name.table)

    catalog = read_catalog(session, [schema])
    later: list[str] = []
    for name in catalog:
        made = create_statements(show_create(session, name), route(name), source=name, route=route)
        session.execute(made.create)
        later += made.foreign_keys
    for statement in later:
        session.execute(statement)
    made_again = read_catalog(session, [target])
    return [(d, made_again[route(n)]) for n, d in catalog.items()]


def test_a_table_made_from_its_text_is_the_same(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        make(session, schema)
        for original, copy in copies(session, schema):
            assert copy.columns == original.columns
            assert copy.indexes == original.indexes
            assert copy.checks == original.checks
            assert [k.columns for k in copy.foreign_keys] == [k.columns for k in original.foreign_keys]
            assert {k.parent.schema for k in copy.foreign_keys} <= {f"{schema}_copy"}


@pytest.mark.servers("mariadb")
def test_mariadbs_own_kinds(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE SEQUENCE {schema}.zz_numbers")
        session.execute(f"CREATE TABLE {schema}.a (id INT DEFAULT NEXTVAL({schema}.zz_numbers), u UUID, i INET6)")
        session.execute(f"CREATE TABLE {schema}.history (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
        session.execute(f"CREATE TABLE {schema}.blobs (id INT PRIMARY KEY, b TEXT UNIQUE, c VARCHAR(500) COMPRESSED)")
        session.execute(f"CREATE TABLE {schema}.old (id INT) ENGINE=MyISAM")
        session.execute(f"CREATE TABLE {schema}.raw (b VARBINARY(6) DEFAULT x'ff00fe00')")
        pairs = copies(session, schema)
        # The sequence is first, because the table uses it.
        assert next(o.kind for o, _ in pairs) == "SEQUENCE"
        assert {o.name.table: o.kind for o, _ in pairs}["history"] == "SYSTEM VERSIONED"
        for original, copy in pairs:
            assert copy.kind == original.kind
            assert [c.column_type for c in copy.columns] == [c.column_type for c in original.columns]
            assert copy.engine == "InnoDB"
            assert copy.indexes == original.indexes
        session.execute(f"INSERT INTO {quote(schema + '_copy')}.raw () VALUES ()")
        assert session.row(f"SELECT HEX(b) FROM {schema}_copy.raw") == ("FF00FE00",)


@pytest.mark.servers("mysql")
def test_mysqls_own_kinds(primary: SandboxServer, schema: str) -> None:
    # A session of `replica` shows generated keys and no secondary engine; the sandbox's has the server's settings.
    with connect(primary.address(), Network()) as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute("SET SESSION sql_generate_invisible_primary_key = 1")
        session.execute(f"CREATE TABLE {schema}.keyless (a INT)")
        session.execute(
            f"CREATE TABLE {schema}.places (id INT PRIMARY KEY, a VARCHAR(20), g GEOMETRY NOT NULL SRID 4326,"
            " KEY f ((UPPER(a)), id), SPATIAL KEY (g))"
        )
        for original, copy in copies(session, schema):
            assert copy.columns == original.columns
            assert copy.indexes == original.indexes
        places = read_table(session, TableName(schema, "places"))
        keyless = read_table(session, TableName(schema, "keyless"))
        assert places is not None
        assert keyless is not None
        assert places.columns_by_name["g"].srid == 4326
        assert next(i for i in places.indexes if i.name == "f").columns[0] == IndexColumn("", expression="upper(`a`)")
        assert [c.name for c in keyless.columns] == ["my_row_id", "a"]


def test_an_account_that_may_only_read_gets_the_same_catalog(primary: SandboxServer, schema: str) -> None:
    # The grants of docs/accounts.md on a primary. What is not seen of a foreign key is not copied as it must be.
    account = f"'{schema}'@'%'"
    with primary.session() as session:
        make(session, schema)
        session.execute(
            f"CREATE TABLE {schema}.other (id INT PRIMARY KEY, `on, delete` INT COMMENT 'ON DELETE CASCADE, (',"
            f" CONSTRAINT `a``b` FOREIGN KEY (`on, delete`) REFERENCES {schema}.child (id) ON UPDATE CASCADE,"
            f" CONSTRAINT plain FOREIGN KEY (`on, delete`) REFERENCES {schema}.child (id),"
            f" CONSTRAINT nulls FOREIGN KEY (`on, delete`) REFERENCES {schema}.child (id) ON DELETE SET NULL)"
        )
        session.execute(f"CREATE USER {account} IDENTIFIED BY 'only reads'")
        session.execute(f"GRANT SELECT, LOCK TABLES ON {schema}.* TO {account}")
        try:
            with connect(primary.address(schema, password="only reads"), Network()) as reader:
                seen = read_catalog(reader, [schema])
            whole = read_catalog(session, [schema])
        finally:
            session.execute(f"DROP USER {account}")
    assert whole[TableName(schema, "other")].foreign_keys[0].on_update == "CASCADE"
    # Triggers are the secondary's matter; the row counts are estimates.
    for name, definition in whole.items():
        assert replace(seen[name], estimated_rows=0) == replace(definition, triggers=(), estimated_rows=0)


def test_columns_alone_are_those_of_the_whole_definition(primary: SandboxServer, schema: str) -> None:
    with connect(primary.address(), Network()) as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.a (id INT PRIMARY KEY, t TIMESTAMP NOT NULL, b VARCHAR(9) DEFAULT 'x')")
        session.execute(f"CREATE TABLE {schema}.b (id INT, KEY (id), CHECK (id > 0))")
        names = [TableName(schema, name) for name in ("a", "b", "missing")]
        whole, columns = read_tables(session, names), read_columns(session, names)
        assert whole.keys() == columns.keys() == set(names[:2])
        for name, definition in columns.items():
            bare = replace(whole[name], indexes=(), checks=())
            assert definition == bare
