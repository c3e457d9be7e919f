"""The value of a session variable for a statement whose event does not have it."""

from __future__ import annotations

import pytest

from replica_cli.sqlbuilder.session_variables import allowing_statements, assignment, wanted_value

# Variable, the primary's globals, the session's own value, and what it has to be.
WANTED = {
    "the primary's": ("div_precision_increment", {"div_precision_increment": "9"}, "4", "9"),
    "modes that matter": ("old_mode", {"old_mode": "UTF8_IS_UTF8MB3,NO_PROGRESS_INFO"}, "", "UTF8_IS_UTF8MB3"),
    "MySQL has no old_mode, and its utf8 is utf8mb3": ("old_mode", {}, "", "UTF8_IS_UTF8MB3"),
    "no old_mode": ("old_mode", {"old_mode": ""}, "UTF8_IS_UTF8MB3", ""),
    "an engine that all have": ("default_storage_engine", {"default_storage_engine": "MyISAM"}, "InnoDB", "MyISAM"),
    "an engine that some have": ("default_storage_engine", {"default_storage_engine": "ROCKSDB"}, "Aria", "InnoDB"),
    "the other flavour has no such engine": ("enforce_storage_engine", {}, "Aria", ""),
    "unknown to the primary": ("mhnsw_default_m", {}, "6", "6"),
    "fixed": ("sql_generate_invisible_primary_key", {"sql_generate_invisible_primary_key": "ON"}, "ON", "OFF"),
}


@pytest.mark.parametrize("case", WANTED)
def test_a_value(case: str) -> None:
    name, primary, own, expected = WANTED[case]
    assert wanted_value(name, primary, own) == expected


def test_an_assignment() -> None:
    assert assignment("enforce_storage_engine", "") == "enforce_storage_engine=NULL"
    assert assignment("old_mode", "") == "old_mode=''"
    assert assignment("default_week_format", "3") == "default_week_format=3"
    assert assignment("x", "it's") == "x='it''s'"


def test_only_what_a_server_has_is_allowed() -> None:
    assert allowing_statements(["innodb_strict_mode", "sql_mode"]) == ["SET SESSION innodb_strict_mode='OFF'"]
