"""Sequences made from the primary's SHOW CREATE SEQUENCE."""

from __future__ import annotations

import pytest

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused
from replica_cli.sqlbuilder.definitions.sequences import is_sequence, sequence_statement

SOURCE, TARGET = TableName("s", "a`b"), TableName("other", "a`b")
REST = " start with 1 minvalue 1 maxvalue 9 increment by 1 cache 1000 nocycle ENGINE="


def test_the_name_is_the_secondarys_and_all_else_is_kept() -> None:
    made = sequence_statement(f"CREATE SEQUENCE `a``b`{REST}InnoDB COMMENT='ENGINE=MyISAM'", TARGET, source=SOURCE)
    assert made == (f"CREATE SEQUENCE `other`.`a``b`{REST}InnoDB COMMENT='ENGINE=MyISAM'", ())


def test_an_engine_without_transactions_becomes_innodb_and_a_note_says_so() -> None:
    made, (note,) = sequence_statement(f"CREATE SEQUENCE `q`{REST}Aria", TARGET, source=SOURCE)
    assert made == f"CREATE SEQUENCE `other`.`a``b`{REST}InnoDB"
    assert "Aria becomes InnoDB" in note


def test_what_the_secondary_cannot_hold_is_refused() -> None:
    with pytest.raises(DefinitionRefused, match="BLACKHOLE"):
        sequence_statement(f"CREATE SEQUENCE `q`{REST}BLACKHOLE", TARGET, source=SOURCE)
    typed = f"CREATE SEQUENCE `q` as smallint unsigned{REST}InnoDB"
    assert " as smallint unsigned " in sequence_statement(typed, TARGET, source=SOURCE)[0]
    with pytest.raises(DefinitionRefused, match="BIGINT"):
        sequence_statement(typed, TARGET, source=SOURCE, knows_types=False)


def test_a_sequence_is_distinguished_from_a_table_that_mentions_one() -> None:
    assert is_sequence("CREATE TABLE `q` (\n  `next_not_cached_value` bigint(21) NOT NULL\n) ENGINE=InnoDB SEQUENCE=1")
    assert not is_sequence("CREATE TABLE `q` (\n  `SEQUENCE=1` int COMMENT 'SEQUENCE=1'\n) COMMENT='SEQUENCE=1'")
