"""What a statement changes beyond the tables that it names first."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.statements.side_effects import (
    is_made_of_query,
    is_of_tablespace,
    makes_new_table,
    new_names,
    refused_engine,
    touches_only_server_tables,
)
from replica_cli.sqlbuilder.statements.statement import ParsedStatement, StatementKind, parse_statement
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of
from replica_cli.sqlbuilder.tokens import CATALOG


def parsed(text: str, schema: str) -> ParsedStatement:
    return parse_statement(text, schema, CATALOG)


QUERIES = (
    "CREATE TABLE t SELECT 1 AS a",
    "CREATE TABLE t AS (SELECT * FROM u)",
    "CREATE TABLE IF NOT EXISTS t (a INT, PRIMARY KEY (a)) ENGINE=InnoDB IGNORE SELECT a FROM u",
    "CREATE OR REPLACE TABLE s.t (a INT) AS WITH x AS (SELECT 1 AS a) SELECT * FROM x",
    "CREATE TABLE t TABLE u",
    "CREATE TABLE t VALUES ROW(1), ROW(2)",
    "CREATE TABLE t AS VALUES (1), (2)",
    "CREATE TABLE t /*!50000 SELECT */ /*!50000 1 */",
)
NO_QUERIES = (
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t LIKE u",
    "CREATE TABLE t (`select` INT COMMENT 'select', `table` INT) COMMENT='SELECT 1'",
    "CREATE TABLE t (a INT) PARTITION BY RANGE (a) (PARTITION p VALUES LESS THAN (5), PARTITION q VALUES IN (6))",
    "CREATE TABLE t (a INT) START TRANSACTION",
    "CREATE TABLE t (a INT) ENGINE=MERGE UNION=(u, v)",
    "CREATE TABLE t (a INT) WITH SYSTEM VERSIONING",
    "INSERT INTO t SELECT 1",
)
SERVERS = (
    "INSERT INTO mysql.rds_heartbeat2(id, value) values (1,17) ON DUPLICATE KEY UPDATE value = 17",
    "DELETE FROM time_zone_leap_second",
    "INSERT INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('UTC', @time_zone_id)",
    "UPDATE mysql.user SET Password = PASSWORD('x') WHERE User = 'x'",
    "REPLACE INTO `mysql`.`db` VALUES ('%', NOW(), CONCAT('a', 'b'))",
    "DELETE FROM mysql.proc WHERE db IN ('x', 'y')",
)
NOT_SERVERS = (
    "INSERT INTO mysql.seen VALUES (1)",
    "INSERT INTO shop.user VALUES (1)",
    "INSERT INTO mysql.db SELECT * FROM shop.t",
    "INSERT INTO mysql.db VALUES (shop.f(1))",
    "INSERT INTO mysql.db VALUES (f(1))",
    "INSERT INTO mysql.db VALUES (`concat`(1))",
    "INSERT INTO mysql.db VALUES ((SELECT 1))",
    "UPDATE mysql.db, shop.t SET t.n = 1",
    "UPDATE mysql.db d SET d.n = 1",
    "DELETE mysql.db, shop.t FROM mysql.db JOIN shop.t",
    "DELETE FROM mysql.db USING mysql.db JOIN shop.t",
    "DELETE FROM mysql.db; DELETE FROM shop.t",
    "LOAD DATA INFILE 'x' INTO TABLE mysql.db",
    "CALL mysql.rds_stop()",
    "DO SLEEP(1)",
    "SELECT `o`.`f`(1)",
    "WITH x AS (SELECT 1) DELETE FROM mysql.db",
)


@pytest.mark.parametrize("text", QUERIES)
def test_a_table_made_of_a_query(text: str) -> None:
    assert is_made_of_query(parsed(text, "d"))


@pytest.mark.parametrize("text", NO_QUERIES)
def test_a_table_made_of_a_definition(text: str) -> None:
    assert not is_made_of_query(parsed(text, "d"))


@pytest.mark.parametrize("text", SERVERS)
def test_changes_that_can_only_be_of_the_servers_own_tables(text: str) -> None:
    statement = parsed(text, "mysql")
    assert statement.kind is StatementKind.ROWS
    assert touches_only_server_tables(statement, "mysql")


@pytest.mark.parametrize("text", NOT_SERVERS)
def test_changes_that_may_reach_other_tables(text: str) -> None:
    assert not touches_only_server_tables(parsed(text, "mysql"), "mysql")


def test_a_bare_name_is_of_the_default_schema() -> None:
    assert not touches_only_server_tables(parsed("DELETE FROM db", "shop"), "shop")


@pytest.mark.parametrize("text", ["ANALYZE UPDATE t SET n = 1", "ANALYZE FORMAT=JSON DELETE FROM t", "SET @x = f(1)"])
def test_statements_that_run_others_are_changes_of_rows(text: str) -> None:
    assert parsed(text, "d").kind is StatementKind.ROWS


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("CREATE TABLE t (a INT) ENGINE=MERGE UNION=(u)", "MERGE"),
        ("CREATE TABLE t (a INT) engine = 'blackhole'", "blackhole"),
        ("CREATE TABLE t (a INT) ENGINE `Federated` CONNECTION='x'", "Federated"),
        ("ALTER TABLE t ADD b INT, ENGINE MRG_MYISAM", "MRG_MYISAM"),
        ("CREATE TABLE t (a INT) /*!50000 ENGINE=SPIDER */", "SPIDER"),
        ("CREATE TABLE t (engine VARCHAR(9), `merge` INT) ENGINE=InnoDB COMMENT 'ENGINE=MERGE'", None),
        ("ALTER TABLE t ENGINE=MyISAM", None),
        ("CREATE TABLE t (a INT)", None),
    ],
)
def test_an_engine_without_rows_of_its_own(text: str, engine: str | None) -> None:
    assert refused_engine(parsed(text, "d")) == engine


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("CREATE TABLE m (a INT) ENGINE=MERGE UNION=(u, s.v, `w x`) INSERT_METHOD=LAST", "d.u s.v d.w x"),
        ("ALTER TABLE m UNION (u)", "d.u"),
        ("ALTER TABLE m UNION = ()", ""),
        ("CREATE TABLE t SELECT 1 UNION (SELECT 2)", ""),
        ("CREATE TABLE t (`union` INT)", ""),
    ],
)
def test_the_tables_of_a_union(text: str, tables: str) -> None:
    assert " ".join(map(str, parsed(text, "d").parts)) == tables


def test_words_of_a_definition() -> None:
    imported = parsed("ALTER TABLE t IMPORT PARTITION p TABLESPACE", "d")
    assert (is_of_tablespace(imported, "IMPORT"), is_of_tablespace(imported, "DISCARD")) == (True, False)
    assert not is_of_tablespace(parsed("ALTER TABLE t TABLESPACE x", "d"), "DISCARD")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RENAME TABLE a TO b", ["b"]),
        ("RENAME TABLE a TO x, b TO a, x TO b", []),
        ("RENAME TABLE a TO old, new TO a", ["old"]),
        ("ALTER TABLE a ADD n INT, RENAME TO b", ["b"]),
        ("ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b", []),
        ("CREATE TABLE a (id INT)", []),
    ],
)
def test_the_names_that_a_rename_takes(text: str, names: list[str]) -> None:
    assert [name.table for name in new_names(parsed(text, "s"))] == names


def test_an_engine_that_is_not_known_is_refused() -> None:
    kinds = {name: kind_of(name) for name in ("InnoDB", "aria", "BLACKHOLE", "Columnstore")}
    assert list(kinds.values()) == [EngineKind.KEPT, EngineKind.CONVERTED, EngineKind.REFUSED, EngineKind.REFUSED]


@pytest.mark.parametrize(
    ("text", "is_new"),
    [
        ("CREATE TABLE t (id INT)", True),
        ("/*!40101 CREATE */ TABLE `if` (`exists` INT)", True),
        ("CREATE OR REPLACE TABLE t (id INT)", True),
        ("CREATE TABLE IF NOT EXISTS t (id INT)", False),
        ("CREATE TABLE /* if */ if not exists t LIKE u", False),
        ("CREATE SEQUENCE s START WITH 5", True),
        ("CREATE OR REPLACE SEQUENCE s", True),
        ("CREATE SEQUENCE IF NOT EXISTS s", False),
        ("ALTER SEQUENCE s RESTART 5", False),
        ("CREATE INDEX i ON t (a)", False),
        ("ALTER TABLE t ADD n INT", False),
        ("CREATE TEMPORARY TABLE t (id INT)", False),
    ],
)
def test_which_statements_make_a_new_table(text: str, *, is_new: bool) -> None:
    assert makes_new_table(parsed(text, "s")) is is_new
