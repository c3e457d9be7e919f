"""What a log can hold beside plain rows: each kind is applied, on both engines, and the tables are equal."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, ReplicaError, TableChangedInWindow, UnsupportedEvent
from replica_cli.core.gtid import MysqlGtids, parse_gtids
from replica_cli.core.settings import Apply, EngineChoice
from replica_cli.mysql.errnos import ServerError
from tests.engine.applier.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness
    from tests.support.coverage import Refused


@pytest.fixture(autouse=True)
def _engine(harness: Harness, engine_choice: EngineChoice) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=engine_choice))


@pytest.fixture
def table(harness: Harness) -> Harness:
    harness.on_both(
        "CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT, n INT)", "CREATE TABLE u (id INT PRIMARY KEY, n INT)"
    )
    harness.on_primary("INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)", "INSERT INTO u VALUES (1, 1), (2, 2)")
    for name in ("t", "u"):
        harness.copy(name)
    harness.begin_here()
    return harness


@pytest.fixture
def session(table: Harness) -> Iterator[Session]:
    """An application's session whose settings go with it."""
    with table.primary.session(table.schema) as made:
        yield made


def equal(harness: Harness) -> None:
    harness.stream()
    harness.assert_equal()
    gtids = (harness.saved().position.gtid, harness.here().gtid)
    assert len({str(parse_gtids(text, is_mariadb=harness.is_mariadb)) for text in gtids}) == 1


def _has_rows(harness: Harness, sql: str, *args: object) -> bool:
    return bool(harness.source.rows(sql, *args))


@pytest.mark.covers("compressed events (MariaDB)", "TRANSACTION_PAYLOAD (MySQL)")
def test_compressed(table: Harness, session: Session) -> None:
    if table.is_mariadb:
        session.execute("SET GLOBAL log_bin_compress = 1")
        session.execute("SET GLOBAL log_bin_compress_min_len = 10")
        session = table.primary.session(table.schema)
    else:
        session.execute("SET SESSION binlog_transaction_compression = ON")
    session.execute("INSERT INTO t VALUES (3, REPEAT('abc', 5000), 3), (4, NULL, 4)")
    session.execute("UPDATE t SET v = REPEAT('def', 3000), n = NULL")
    session.execute("DELETE FROM t WHERE id = 2")
    session.execute("ALTER TABLE t ADD COLUMN w VARCHAR(200) DEFAULT 'a long default, a long default, a long default'")
    session.execute("INSERT INTO t (id) VALUES (9)")
    if table.is_mariadb:
        session.execute("SET GLOBAL log_bin_compress = DEFAULT")
        session.execute("SET GLOBAL log_bin_compress_min_len = DEFAULT")
    equal(table)


@pytest.mark.covers("row images MINIMAL and NOBLOB")
@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB", "FULL"])
def test_row_images(table: Harness, session: Session, image: str) -> None:
    session.execute(f"SET SESSION binlog_row_image = {image}")
    session.execute("INSERT INTO t (id, n) VALUES (5, 5)")
    session.execute("INSERT INTO t (id, v) VALUES (6, 'six')")
    session.execute("UPDATE t SET n = n + 1 WHERE id < 3")
    session.execute("UPDATE t SET v = CONCAT(v, '!') WHERE id = 1")
    session.execute("UPDATE t SET id = id + 100, v = NULL WHERE id = 2")
    session.execute("DELETE FROM t WHERE id = 6")
    equal(table)


@pytest.mark.covers("row images MINIMAL and NOBLOB")
def test_image_and_metadata_change_within_a_transaction_list(table: Harness, session: Session) -> None:
    for image in ("MINIMAL", "FULL", "NOBLOB"):
        session.execute(f"SET SESSION binlog_row_image = {image}")
        session.execute("UPDATE t SET n = n + 1")
    equal(table)


@pytest.mark.covers("row images without the secondary's key")
def test_a_row_image_without_the_key_of_the_secondary(harness: Harness, refused: Refused) -> None:
    made = "CREATE TABLE k (a INT NOT NULL, b INT NOT NULL, n INT, PRIMARY KEY ({key}))"
    harness.on_primary(made.format(key="a"), "INSERT INTO k VALUES (1, 2, 3), (2, 1, 3)")
    harness.on_secondary(made.format(key="b"), "INSERT INTO k VALUES (1, 2, 3), (2, 1, 3)")
    before = harness.begin_here()
    with harness.primary.session(harness.schema) as session:
        session.execute("SET SESSION binlog_row_image = MINIMAL")
        session.execute("UPDATE k SET n = 4 WHERE a = 1")
        session.execute("DELETE FROM k WHERE a = 2")
    if not harness.is_mariadb and harness.is_one_flavour and harness.settings.apply.engine is EngineChoice.AUTO:
        # MySQL finds the row by what the image has, which is the primary's key; MariaDB does not.
        equal(harness)
        return
    with refused(ApplyRefused, "the row image lacks the key") as raised:
        harness.stream()
    assert "binlog_row_image=FULL" in str(raised.value.hint)
    assert harness.saved().position.order == before.order
    assert harness.rows("SELECT n FROM k") == [(3,), (3,)]


@pytest.mark.covers("annotations of rows")
def test_annotated_rows(table: Harness, session: Session) -> None:
    # Whatever is in the text, and in whatever charset it is.
    session.execute(
        f"SET SESSION {'binlog_annotate_row_events' if table.is_mariadb else 'binlog_rows_query_log_events'} = ON"
    )
    session.execute("SET NAMES latin1")
    session.execute(b"UPDATE t /* \xe9\xff; COMMIT; ROLLBACK */ SET v = 'caf\xe9' WHERE id = 1")
    session.execute("INSERT INTO t VALUES (3, 'DROP TABLE t; BEGIN', 3)")
    session.execute("DELETE FROM u")
    equal(table)


@pytest.mark.covers("several table maps in a statement")
def test_several_tables_in_one_statement(table: Harness) -> None:
    table.on_primary("CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what INT)")
    # A trigger's rows are in the log: on the secondary, which has none, nothing else may write them.
    table.on_primary(
        "CREATE TRIGGER told AFTER UPDATE ON t FOR EACH ROW INSERT INTO log (what) VALUES (NEW.id)",
        "UPDATE t JOIN u USING (id) SET t.n = t.n + 10, u.n = u.n + 20",
        "DELETE t, u FROM t JOIN u USING (id) WHERE t.id = 2",
    )
    table.stream()
    table.on_primary("DROP TRIGGER told")
    equal(table)
    assert table.rows("SELECT what FROM log ORDER BY id") == [(1,), (2,)]


@pytest.mark.covers("checksums CRC32, NONE, and a change")
def test_a_change_of_checksums(table: Harness) -> None:
    for algorithm in ("NONE", "CRC32", "NONE"):
        table.on_primary(f"SET GLOBAL binlog_checksum = {algorithm}", "UPDATE t SET n = n + 1")
    table.on_primary("SET GLOBAL binlog_checksum = CRC32", "UPDATE t SET n = n + 1")
    equal(table)


@pytest.mark.covers("COMMIT as a query, savepoints, engines without transactions")
def test_savepoints_and_an_engine_without_transactions(table: Harness) -> None:
    table.on_primary("CREATE TABLE my (id INT PRIMARY KEY, n INT) ENGINE=MyISAM")
    table.source.begin()
    table.on_primary(
        "INSERT INTO t VALUES (10, 'stays', 0)", "SAVEPOINT `a ``b`", "INSERT INTO t VALUES (11, 'goes', 0)"
    )
    if table.is_mariadb:
        # MySQL with GTIDs refuses to mix the two.
        table.on_primary("INSERT INTO my VALUES (1, 1)")
    table.on_primary("ROLLBACK TO `a ``b`", "INSERT INTO t VALUES (12, 'stays', 0)", "SAVEPOINT two")
    table.on_primary("RELEASE SAVEPOINT two", "UPDATE t SET n = 5")
    table.source.commit()
    table.on_primary("INSERT INTO my VALUES (2, 2)", "UPDATE my SET n = 7", "DELETE FROM my WHERE id = 1")
    table.source.begin()
    table.on_primary("INSERT INTO t VALUES (13, 'goes', 0)")
    if table.is_mariadb:
        table.on_primary("INSERT INTO my VALUES (3, 3)")
    table.source.rollback()
    table.stream()
    for sql in ("SELECT * FROM t ORDER BY id", "SELECT * FROM my ORDER BY id"):
        assert table.rows(sql) == table.source.rows(sql)


@pytest.mark.covers("CREATE TABLE … SELECT")
def test_a_table_made_of_a_query(table: Harness) -> None:
    table.on_primary(
        "CREATE TABLE made (PRIMARY KEY (id)) SELECT id, n FROM t",
        "CREATE TABLE nothing AS SELECT * FROM t WHERE 1 = 0",
        "CREATE TABLE IF NOT EXISTS made (a INT) SELECT 1 AS a",
        "INSERT INTO made VALUES (70, 7)",
        "CREATE TABLE alike LIKE made",
        "INSERT INTO alike SELECT * FROM made",
    )
    equal(table)


@pytest.mark.covers("CREATE OR REPLACE TABLE … SELECT (MariaDB)")
@pytest.mark.servers("mariadb")
def test_a_table_replaced_by_a_query(table: Harness, refused: Refused) -> None:
    table.on_primary(
        "CREATE TABLE made (id INT PRIMARY KEY)", "INSERT INTO made VALUES (1)",
        "CREATE OR REPLACE TABLE made (PRIMARY KEY (id)) SELECT id, v FROM t",
    )  # fmt: skip
    if table.is_one_flavour:
        equal(table)
        return
    # By then the primary's table may be known to be another one: then it is copied again for that.
    with refused(ReplicaError, "refuses a statement (error 1064): CREATE OR REPLACE TABLE") as raised:
        table.stream()
    error = raised.value
    assert isinstance(error, ApplyRefused | TableChangedInWindow)
    tables = error.tables if isinstance(error, TableChangedInWindow) else (error.table,)
    assert tables == (table.name("made"),)


@pytest.mark.covers("LOAD DATA in row format")
def test_loaded_from_a_file(table: Harness, tmp_path: Path) -> None:
    rows = "".join(f"{key}\tline {key}\t{key % 7}\n" for key in range(1000, 1500))
    path = tmp_path / "rows.txt"
    path.write_text(rows)
    if table.primary.binary.chroot is not None:
        path = table.primary.data_path / "rows.txt"
        path.write_text(rows)
    path.chmod(0o644)
    table.on_primary(f"LOAD DATA INFILE '{table.primary.binary.inside(path)}' INTO TABLE t")
    equal(table)


@pytest.mark.covers("sequences: NEXTVAL, SETVAL (MariaDB)")
@pytest.mark.servers("mariadb")
def test_sequences(table: Harness, record_property: Callable[[str, object], None]) -> None:
    table.on_primary("CREATE SEQUENCE s START 10 INCREMENT 3 CACHE 5")
    for _ in range(7):
        table.source.rows("SELECT NEXTVAL(s)")
    if not table.is_one_flavour:
        table.on_primary("DROP SEQUENCE IF EXISTS nowhere", "CREATE SEQUENCE gone", "DROP SEQUENCE gone")
        table.stream()
        (record,) = table.tables.load().values()
        reason = "MySQL has no sequences"
        assert record.name == table.name("s")
        assert record.reason == f"{reason}; the copy is refused too: such a table cannot be copied exactly"
        table.on_primary("DROP SEQUENCE s")
        equal(table)
        assert not table.tables.load()
        record_property("refused", reason)
        return
    table.stream()
    table.source.rows("SELECT SETVAL(s, 500)")
    table.on_primary("INSERT INTO u VALUES (NEXTVAL(s), 0)", "ALTER SEQUENCE s INCREMENT 10")
    table.source.rows("SELECT NEXTVAL(s)")
    table.stream()
    assert table.rows("SELECT * FROM s") == table.source.rows("SELECT * FROM s")
    table.on_primary("DROP SEQUENCE s")
    equal(table)


@pytest.mark.covers("ALTER in two phases (MariaDB)")
@pytest.mark.servers("mariadb")
def test_an_alter_in_two_phases(table: Harness, session: Session) -> None:
    session.execute("SET SESSION binlog_alter_two_phase = 1")
    session.execute("ALTER TABLE t ADD COLUMN w INT DEFAULT 4")
    session.execute("INSERT INTO t (id) VALUES (7)")
    session.execute("INSERT INTO u VALUES (8, 1)")
    with pytest.raises(ServerError, match="Duplicate"):
        session.execute("ALTER TABLE u ADD UNIQUE (n)")
    session.execute("ALTER TABLE u ADD COLUMN x INT, ALGORITHM=COPY")
    equal(table)


@pytest.mark.covers("instant DDL")
def test_instant_definitions(table: Harness) -> None:
    table.on_primary(
        "ALTER TABLE t ADD COLUMN a INT DEFAULT 5 AFTER id, ALGORITHM=INSTANT",
        "INSERT INTO t (id) VALUES (20)",
        "ALTER TABLE t DROP COLUMN n, ALGORITHM=INSTANT",
        "UPDATE t SET a = 6 WHERE id = 1",
        "ALTER TABLE t RENAME COLUMN a TO b, ALGORITHM=INSTANT",
        "ALTER TABLE t ALTER COLUMN b SET DEFAULT 9, ALGORITHM=INSTANT",
        "INSERT INTO t (id) VALUES (21)",
    )
    equal(table)


NAMES = (
    "CREATE TABLE `we``ird; -- \"n''ame` (`a b` INT PRIMARY KEY, `order` INT)",
    "INSERT INTO `we``ird; -- \"n''ame` VALUES (1, 2)",
    "/* leading */ ALTER /*!50000 TABLE */ `t` /* x.y */ ADD # comment\n COLUMN w INT",
    "CREATE /*! TABLE */ /*M! IF NOT EXISTS */ seen (id INT PRIMARY KEY)",
    "ALTER TABLE `{schema}` . `u` ADD COLUMN m INT, RENAME TO `{schema}`.`u2`",
    "RENAME TABLE u2 TO `{schema}`.u3, t TO t2, u3 TO t",
    "CREATE TABLE `{schema}`.like_it LIKE `t2`",
    "DROP TABLE IF EXISTS `{schema}`.like_it, nowhere, `{schema}`.`nor here`",
    "TRUNCATE `{schema}`.`t2`",
    "INSERT INTO t2 (id) VALUES (5)",
)


@pytest.mark.covers("DDL with quoted, commented and cross-schema names", "TRUNCATE, DROP and RENAME of several tables")
def test_names_however_they_are_written(table: Harness, session: Session) -> None:
    session.execute("CREATE DATABASE IF NOT EXISTS other_default")
    for statement in NAMES[:2]:
        session.execute(statement)
    for statement in NAMES[2:]:
        if "/*M!" in statement and not table.is_mariadb:
            continue
        session.execute(statement.replace("{schema}", table.schema))
    # The default schema is not where the table is.
    session.execute("USE other_default")
    session.execute(f"ALTER TABLE {table.schema}.t2 ADD COLUMN far INT DEFAULT 1")
    session.execute("CREATE TABLE outside (id INT)")
    session.execute("DROP DATABASE other_default")
    equal(table)


@pytest.mark.covers("DDL of other objects")
def test_statements_about_other_things_pass(table: Harness, session: Session, caplog: pytest.LogCaptureFixture) -> None:
    name = f"u_{table.schema[-6:]}"
    for statement in (
        f"CREATE USER {name}@localhost IDENTIFIED BY 'Secret-123'",
        f"GRANT SELECT ON {table.schema}.* TO {name}@localhost",
        f"DROP USER {name}@localhost", "CREATE VIEW seen AS SELECT id FROM t", "CREATE PROCEDURE p() SELECT 1",
        "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN a + 1", "DROP VIEW seen", "DROP PROCEDURE p",
        "DROP FUNCTION f", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t", "DROP EVENT e",
        "ANALYZE TABLE t", "OPTIMIZE TABLE t", "FLUSH TABLES", "CREATE TEMPORARY TABLE tmp (id INT)",
        "INSERT INTO tmp VALUES (1)", "INSERT INTO u SELECT id + 50, 0 FROM tmp", "DROP TEMPORARY TABLE tmp",
        "UPDATE t SET n = 3",
    ):  # fmt: skip
        session.execute(statement)
    with caplog.at_level("INFO"):
        equal(table)
    # Counted by class, so that nothing is passed over in silence.
    counted = " ".join(record.getMessage() for record in caplog.records if "skipped" in record.getMessage())
    for kind in ("user", "view", "procedure", "function", "event"):
        assert f"skipped: {kind}" in counted


@pytest.mark.covers("rows written without checks")
@pytest.mark.parametrize("variable", ["foreign_key_checks", "unique_checks"])
def test_rows_written_without_checks(table: Harness, session: Session, variable: str) -> None:
    table.on_primary(
        "CREATE TABLE child (id INT PRIMARY KEY, up INT, other INT UNIQUE, FOREIGN KEY (up) REFERENCES u (id))",
        "INSERT INTO child VALUES (1, 1, 1), (2, 2, 2)",
    )
    session.execute(f"SET SESSION {variable} = 0")
    if variable == "foreign_key_checks":
        session.execute("INSERT INTO child VALUES (3, 77, 3)")
        session.execute("UPDATE child SET up = 78 WHERE id = 1")
        session.execute("DELETE FROM u WHERE id = 2")
    else:
        session.execute("INSERT INTO child VALUES (3, 1, 3), (4, NULL, NULL), (5, NULL, NULL)")
    # With checks again: nothing of the other session may be left.
    table.on_primary("INSERT INTO child VALUES (9, 1, 9)", "UPDATE child SET other = 10 WHERE id = 9")
    equal(table)


@pytest.mark.covers("rows that break a CHECK (MariaDB)")
@pytest.mark.servers("mariadb")
def test_rows_that_a_check_would_refuse(table: Harness, session: Session, refused: Refused) -> None:
    table.on_primary("CREATE TABLE checked (id INT PRIMARY KEY, d JSON, n INT CHECK (n > 0))")
    session.execute("SET SESSION check_constraint_checks = 0")
    session.execute("INSERT INTO checked VALUES (1, '{', 1), (2, '[]', -1)")
    session.execute("UPDATE checked SET n = -2 WHERE id = 1")
    table.on_primary("INSERT INTO checked VALUES (3, '{}', 3)")
    if table.is_one_flavour:
        equal(table)
        return
    with refused(UnsupportedEvent, "MySQL cannot store a JSON document unchanged: it is not valid JSON") as raised:
        table.stream()
    assert isinstance(raised.value, UnsupportedEvent)
    assert raised.value.table == table.name("checked")


@pytest.mark.covers("INCIDENT")
@pytest.mark.servers("mariadb")
def test_a_hole_in_the_log_stops_the_stream(table: Harness, refused: Refused) -> None:
    table.on_primary("CREATE TABLE my (id INT) ENGINE=MyISAM", "SET GLOBAL max_binlog_stmt_cache_size = 4096")
    try:
        before = table.here()
        with table.primary.session(table.schema) as session, pytest.raises(ServerError):
            session.execute("INSERT INTO my SELECT seq FROM seq_1_to_100000")
    finally:
        # The server is shared: a dump by GTID that begins in the same file would be sent the hole in another test too.
        table.on_primary("SET GLOBAL max_binlog_stmt_cache_size = DEFAULT", "FLUSH BINARY LOGS")
    with refused(UnsupportedEvent, "a gap in its binary log (INCIDENT)") as raised:
        table.stream()
    assert str(before) in raised.value.message
    assert "transfer --restart" in str(raised.value.hint)
    assert table.saved().position.order <= before.order


@pytest.mark.covers("LOAD DATA in statement format")
def test_a_file_loaded_as_a_statement_is_refused_by_name(
    table: Harness, session: Session, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("50\tsecret value\t1\n")
    if table.primary.binary.chroot is not None:
        path = table.primary.data_path / "rows.txt"
        path.write_text("50\tsecret value\t1\n")
    path.chmod(0o644)
    session.execute("SET SESSION binlog_format = STATEMENT")
    before = table.here()
    session.execute(f"LOAD DATA INFILE '{table.primary.binary.inside(path)}' INTO TABLE t")
    with refused(ApplyRefused, "logged as a statement") as raised:
        table.stream()
    assert str(before) in raised.value.message
    assert table.rows("SELECT COUNT(*) FROM t WHERE id = 50") == [(0,)]


@pytest.mark.covers("GTIDs of several domains (MariaDB)")
@pytest.mark.servers("mariadb")
def test_gtids_of_several_domains(table: Harness, session: Session) -> None:
    for domain in (7, 0, 7, 3):
        session.execute(f"SET SESSION gtid_domain_id = {domain}")
        session.execute("UPDATE t SET n = n + 1")
        session.execute(f"CREATE TABLE IF NOT EXISTS of_{domain} (id INT)")
    equal(table)
    assert {part.split("-")[0] for part in table.saved().position.gtid.split(",")} >= {"0", "3", "7"}


@pytest.mark.covers("GTIDs with a tag (MySQL)")
@pytest.mark.servers("mysql")
def test_gtids_with_a_tag(table: Harness, session: Session) -> None:
    session.execute(f"SET SESSION gtid_next = 'AUTOMATIC:{table.schema}'")
    session.execute("UPDATE t SET n = n + 1")
    session.execute("CREATE TABLE tagged (id INT)")
    table.on_primary("UPDATE t SET n = n + 1")
    table.stream()
    table.assert_equal()
    assert f":{table.schema}:1-2" in table.saved().position.gtid
    assert str(MysqlGtids(table.here().gtid)) == table.saved().position.gtid


STATEMENTS = {
    "plain": ("INSERT INTO t VALUES (30, 'a', 1)",),
    "counter": ("INSERT INTO counted (v) VALUES (1)",),
    "random": ("UPDATE u SET n = RAND() * 100",),
    "variable": ("SET @x = 'some text'", "UPDATE t SET v = @x"),
    "other default schema": ("USE mysql", "DELETE FROM {schema}.t"),
    "view": ("UPDATE seen SET n = 9",),
}


@pytest.mark.covers("DML in statement format")
@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_logged_as_statements_are_refused_by_name(
    table: Harness, session: Session, name: str, refused: Refused
) -> None:
    table.on_primary("CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    table.on_primary("CREATE VIEW seen AS SELECT * FROM u", "UPDATE t SET n = 100")
    session.execute("SET SESSION binlog_format = STATEMENT")
    before = table.here()
    for statement in STATEMENTS[name]:
        session.execute(statement.replace("{schema}", table.schema))
    with refused(ApplyRefused, "logged as a statement") as raised:
        table.stream()
    assert str(before) in raised.value.message
    assert "some text" not in raised.value.message
    assert "binlog_format" in str(raised.value.hint)
    assert table.saved().position.order == before.order
    assert table.rows("SELECT DISTINCT n FROM t") == [(100,)]


@pytest.mark.covers("partial JSON (MySQL)")
@pytest.mark.servers("mysql")
@pytest.mark.parametrize("size", [300, 700_000], ids=["small", "beyond a statement of many rows"])
def test_partial_json(harness: Harness, size: int, refused: Refused) -> None:
    harness.on_both("CREATE TABLE j (id INT PRIMARY KEY, d JSON, e JSON)")
    document = '{"a": 1, "b": [1, 2, {"c": "x"}], "long": "' + "y" * size + '"}'
    harness.on_both(f"INSERT INTO j VALUES (1, '{document}', '{document}'), (2, '{document}', NULL)")
    before = harness.begin_here()
    with harness.primary.session(harness.schema) as session:
        session.execute("SET SESSION binlog_row_value_options = PARTIAL_JSON")
        for image in ("FULL", "MINIMAL"):
            session.execute(f"SET SESSION binlog_row_image = {image}")
            session.execute("UPDATE j SET d = JSON_SET(d, '$.a', 3, '$.b[2].c', 'zz'), e = JSON_REMOVE(e, '$.b[0]')")
            session.execute("UPDATE j SET d = JSON_REPLACE(d, '$.long', 'short') WHERE id = 2")
    if harness.is_one_flavour and harness.settings.apply.engine is EngineChoice.AUTO:
        equal(harness)
        return
    with refused(UnsupportedEvent, "a partial JSON update") as raised:
        harness.stream()
    assert isinstance(raised.value, UnsupportedEvent)
    assert raised.value.table == harness.name("j")
    assert "binlog_row_value_options" in str(raised.value.hint)
    assert harness.saved().position.order == before.order


@pytest.mark.covers("online schema changes (gh-ost, pt-osc)")
def test_pt_osc_while_rows_come(table: Harness) -> None:
    table.on_primary("INSERT INTO t SELECT id + 200, v, n FROM t")
    table.stream()
    written = "FOR EACH ROW REPLACE INTO _t_new (id, v, n) VALUES (NEW.id, NEW.v, NEW.n)"
    table.on_primary(
        "CREATE TABLE _t_new LIKE t",
        "ALTER TABLE _t_new ADD COLUMN added INT NOT NULL DEFAULT 3, MODIFY n BIGINT",
        "CREATE TRIGGER t_del AFTER DELETE ON t FOR EACH ROW DELETE IGNORE FROM _t_new WHERE id <=> OLD.id",
        f"CREATE TRIGGER t_upd AFTER UPDATE ON t {written}",
        f"CREATE TRIGGER t_ins AFTER INSERT ON t {written}",
        "INSERT LOW_PRIORITY IGNORE INTO _t_new (id, v, n) SELECT id, v, n FROM t WHERE id < 100 LOCK IN SHARE MODE",
        "UPDATE t SET n = n + 1 WHERE id IN (1, 201)", "DELETE FROM t WHERE id = 2",
        "INSERT INTO t VALUES (3, 'new', 3)",
        "INSERT LOW_PRIORITY IGNORE INTO _t_new (id, v, n) SELECT id, v, n FROM t WHERE id >= 100 LOCK IN SHARE MODE",
        "RENAME TABLE t TO _t_old, _t_new TO t",
        "INSERT INTO t (id, v, n) VALUES (300, 'behind', 5000000000)",
        "DROP TABLE IF EXISTS _t_old",
        "DROP TRIGGER IF EXISTS t_del", "DROP TRIGGER IF EXISTS t_upd", "DROP TRIGGER IF EXISTS t_ins",
        "UPDATE t SET added = id",
    )  # fmt: skip
    equal(table)
    assert ("added",) in table.rows(
        f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{table.schema}' AND table_name = 't'"
    )


@pytest.mark.covers("online schema changes (gh-ost, pt-osc)")
def test_gh_ost_swaps_under_locks_while_rows_come(table: Harness) -> None:
    """What gh-ost does: a ghost table, rows and changes copied, and the swap in a race with writers that wait."""
    table.on_primary(
        "CREATE TABLE _t_ghc (id BIGINT AUTO_INCREMENT PRIMARY KEY, hint VARCHAR(64), UNIQUE KEY (hint)) "
        "COMMENT 'changelog'",
        "CREATE TABLE _t_gho LIKE t",
        "ALTER TABLE _t_gho DROP COLUMN n, ADD COLUMN w VARCHAR(9) DEFAULT 'w'",
        "INSERT INTO _t_ghc (hint) VALUES ('state') ON DUPLICATE KEY UPDATE hint = VALUES(hint)",
        "INSERT IGNORE INTO _t_gho (id, v) (SELECT id, v FROM t FORCE INDEX (PRIMARY) LOCK IN SHARE MODE)",
        "REPLACE INTO _t_gho (id, v) VALUES (2, 'changed')", "UPDATE t SET v = 'changed' WHERE id = 2",
        "CREATE TABLE _t_del (id INT AUTO_INCREMENT PRIMARY KEY) COMMENT 'ghost-cut-over-sentry'",
    )  # fmt: skip
    with (
        table.primary.session(table.schema) as locker,
        table.primary.session(table.schema) as renamer,
        table.primary.session(table.schema) as writer,
    ):
        locker.execute("LOCK TABLES t WRITE, _t_del WRITE")
        swap = threading.Thread(target=renamer.execute, args=("RENAME TABLE t TO _t_del, _t_gho TO t",))
        write = threading.Thread(target=writer.execute, args=("INSERT INTO t (id, v) VALUES (77, 'waited')",))
        waiting = "SELECT 1 FROM information_schema.processlist WHERE state LIKE 'Waiting%%' AND info LIKE %s"
        # As gh-ost does: writers wait already, and the swap goes before them.
        for thread, words in ((write, "INSERT INTO t %"), (swap, "RENAME TABLE %")):
            thread.start()
            wait_until(partial(_has_rows, table, waiting, words))
        locker.execute("DROP TABLE _t_del")
        locker.execute("UNLOCK TABLES")
        for thread in (swap, write):
            thread.join(20)
    equal(table)
    table.on_primary("DROP TABLE IF EXISTS _t_ghc", "DROP TABLE IF EXISTS _t_del")
    equal(table)
    # Which of the two tables the waiting row went to is the server's choice; that it is the same here was compared.
    assert table.rows("SELECT DISTINCT w FROM t") == [("w",)]
