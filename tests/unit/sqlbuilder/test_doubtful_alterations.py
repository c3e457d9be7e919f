"""Which ALTER TABLE leaves the same rows wherever it runs; tests/engine/applier/test_server_dependent.py proves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.table import Column, TableDefinition, TableName
from replica_cli.sqlbuilder.statements.doubtful_alterations import Doubt, doubts
from replica_cli.sqlbuilder.statements.statement import parse_statement
from replica_cli.sqlbuilder.tokens import Dialect

TABLE = TableDefinition(
    TableName("s", "t"),
    "InnoDB",
    "",
    (
        Column("id", "int", "int", extra="auto_increment"),
        Column("a", "int", "int"),
        Column("v", "varchar", "varchar(9)"),
        Column("d", "datetime", "datetime(6)", fraction_digits=6),
        Column("ts", "timestamp", "timestamp"),
    ),
)
DIALECT = Dialect(is_mariadb=True, has_ansi_quotes=False, has_backslash_escapes=True)

SAME = (
    "ALTER TABLE t ADD c INT",
    "ALTER TABLE s.t ADD COLUMN c VARCHAR(9) DEFAULT 'uuid()' COMMENT 'rand()' AFTER a",
    "ALTER TABLE t ADD c TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP",
    "ALTER TABLE t ADD (c INT, e INT DEFAULT (a + 1), KEY (c)), DROP COLUMN v",
    "ALTER TABLE t ADD PRIMARY KEY (id), ADD UNIQUE KEY u (a), ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES p (id)",
    "ALTER TABLE t MODIFY id BIGINT AUTO_INCREMENT, AUTO_INCREMENT=7",
    "ALTER TABLE t MODIFY COLUMN s.t.v TEXT, CHANGE a b BIGINT DEFAULT (uuid())",
    "ALTER TABLE t ALTER a SET DEFAULT (uuid()), ALTER INDEX u INVISIBLE",
    "ALTER TABLE t ORDER BY a DESC, v",
    "ALTER TABLE t ENGINE=InnoDB ROW_FORMAT=DYNAMIC, FORCE, ALGORITHM=COPY, LOCK=NONE",
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4, COLLATE utf8mb4_bin",
    "ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9), PARTITION q VALUES LESS THAN MAXVALUE)",
    "ALTER TABLE t DROP PARTITION p",
    "ALTER TABLE t DROP PARTITION p, q, `r`",
    "ALTER TABLE t TRUNCATE PARTITION p, q",
    "ALTER TABLE t REORGANIZE PARTITION p, q INTO (PARTITION r VALUES LESS THAN (9), PARTITION s VALUES IN (1))",
    "ALTER TABLE t ALGORITHM=COPY, REBUILD PARTITION p, q",
    "ALTER TABLE t ADD c INT DEFAULT 5 PARTITION BY HASH (id) PARTITIONS 4",
    "ALTER TABLE t ADD c INT DEFAULT 5 AFTER serial",
    "ALTER TABLE t RENAME TO u, RENAME COLUMN a TO b",
    "ALTER TABLE t NOWAIT ADD c INT AS (a * 2) STORED, ADD e DATE AS (DATE(ts)) VIRTUAL",
    "ALTER TABLE s.t ADD c INT AS (s.t.a + `t`.a) STORED, ADD e INT DEFAULT (s . t.a + .t.a)",
    "ALTER TABLE t ADD SYSTEM VERSIONING",
    "ALTER TABLE t DROP SYSTEM VERSIONING",
    (
        "ALTER TABLE t ADD rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START,"
        " ADD re TIMESTAMP(6) GENERATED ALWAYS AS ROW END, ADD PERIOD FOR SYSTEM_TIME (rs, re), ADD SYSTEM VERSIONING"
    ),
    "CREATE UNIQUE INDEX i ON t (a)",
    "DROP INDEX i ON t",
)
OTHERS = {
    "ALTER TABLE t ADD c CHAR(36) DEFAULT uuid()": "column c is added with DEFAULT uuid()",
    "ALTER TABLE t ADD c INT DEFAULT (a / 3)": "div_precision_increment",
    "ALTER TABLE t ADD c INT DEFAULT (@x)": "column c is added",
    "ALTER TABLE t ADD (c INT, e INT DEFAULT (rand()))": "column e is added",
    "ALTER TABLE t ADD k INT AUTO_INCREMENT UNIQUE": "column k numbers the rows",
    "ALTER TABLE t ADD k SERIAL": "column k numbers the rows",
    "ALTER TABLE t ADD k BIGINT SERIAL DEFAULT VALUE": "column k numbers the rows",
    "ALTER IGNORE TABLE t ADD UNIQUE (a)": "IGNORE drops rows",
    "ALTER TABLE t ADD c DATE AS (DATE(ts)) PERSISTENT": "column c is computed and stored",
    "ALTER TABLE t MODIFY v DATE GENERATED ALWAYS AS (DATE(ts)) STORED": "column v is computed and stored",
    "ALTER TABLE t ADD c INT AS (u.a) STORED": "u is not a column of its table",
    "ALTER TABLE t SHUFFLE ROWS": "not known",
}
CROSSING = {
    "ALTER TABLE t MODIFY d DATETIME": "may convert its values differently",
    "ALTER TABLE t MODIFY v DOUBLE": "may convert its values differently",
    "ALTER TABLE t TRUNCATE PARTITION p": "TRUNCATE PARTITION",
    "ALTER TABLE t ADD SYSTEM VERSIONING": "row versions",
    "ALTER TABLE t ADD rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START": "row versions",
    "ALTER TABLE t ADD c VARCHAR(40) DEFAULT (dayname(d))": "column c is added",
    "ALTER TABLE t ADD c DATETIME DEFAULT '2024-01-01 00:00:00.6'": "column c is added",
}


def _doubts(
    text: str, *, to_mariadb: bool = True, keeps_zeros: bool = False, before: TableDefinition = TABLE
) -> list[Doubt]:
    parsed = parse_statement(text, "s", DIALECT)
    return doubts(parsed, before, schema="s", from_mariadb=True, to_mariadb=to_mariadb, keeps_zeros=keeps_zeros)


@pytest.mark.parametrize("text", SAME)
def test_these_leave_the_same_rows(text: str) -> None:
    assert _doubts(text) == []


@pytest.mark.parametrize("text", OTHERS)
def test_these_may_leave_others(text: str) -> None:
    (found,) = _doubts(text)
    assert OTHERS[text] in found.reason
    assert found.condition == "TRUE"


@pytest.mark.parametrize("verb", ["DROP", "TRUNCATE"])
def test_which_row_versions_a_partition_holds_is_not_known(verb: str) -> None:
    parted = replace(TABLE, kind="SYSTEM VERSIONED", create_options="partitioned")
    (found,) = _doubts(f"ALTER TABLE t {verb} PARTITION p0", before=parted)
    assert "row versions" in found.reason
    assert _doubts("ALTER TABLE t ADD PARTITION (PARTITION p9 HISTORY)", before=parted) == []
    assert _doubts(f"ALTER TABLE t {verb} PARTITION p0", before=replace(parted, kind="BASE TABLE")) == []


@pytest.mark.parametrize("text", CROSSING)
def test_these_may_leave_others_on_the_other_flavour(text: str) -> None:
    (found,) = _doubts(text, to_mariadb=False)
    assert CROSSING[text] in found.reason


@pytest.mark.parametrize("text", SAME[:4] + SAME[8:12])
def test_most_are_the_same_on_the_other_flavour(text: str) -> None:
    assert _doubts(text, to_mariadb=False) == []


def test_a_column_that_becomes_a_counter_numbers_rows_without_a_number() -> None:
    text = "ALTER TABLE t CHANGE a b INT AUTO_INCREMENT, ADD KEY (b)"
    assert [d.condition for d in _doubts(text)] == ["`a` IS NULL OR `a` = 0"]
    assert [d.condition for d in _doubts(text, keeps_zeros=True)] == ["`a` IS NULL"]


@pytest.mark.parametrize("default", ["NEXTVAL(n)", "(NEXT VALUE FOR n)", "(nextval(s.n))", "(NEXT VALUE FOR `s`.`n`)"])
def test_a_sequence_that_gave_numbers_is_named(default: str) -> None:
    (found,) = _doubts(f"ALTER TABLE t ADD c INT DEFAULT {default}")
    assert found.sequences == (TableName("s", "n"),)


def test_values_of_a_default_are_not_in_the_reason() -> None:
    (found,) = _doubts("ALTER TABLE t ADD c VARCHAR(99) DEFAULT (concat('secret', uuid()))")
    assert "secret" not in found.reason
