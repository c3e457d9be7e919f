"""The session of a logged statement as one SET."""

from __future__ import annotations

import pytest

from replica_cli.core.events import SessionContext
from replica_cli.sqlbuilder.session_context import APPLY_SESSION, context_statement, crossed_mode

COLLATIONS = {8: ("latin1_swedish_ci", "latin1"), 45: ("utf8mb4_general_ci", "utf8mb4")}


def made(context: SessionContext) -> set[str]:
    text = context_statement(context, 1700000000, COLLATIONS)
    assert text.startswith("SET SESSION ")
    return set(text.removeprefix("SET SESSION ").split(", "))


def test_a_bare_statement() -> None:
    assert made(SessionContext()) == {
        "autocommit=1", "timestamp=1700000000.000000", "foreign_key_checks=1", "unique_checks=1", "sql_auto_is_null=0",
        "lc_time_names=0",
    }  # fmt: skip


def test_flags() -> None:
    found = made(SessionContext(flags2=1 << 26 | 1 << 27 | 1 << 14))
    assert {"foreign_key_checks=0", "unique_checks=0", "sql_auto_is_null=1"} <= found


def test_the_mode() -> None:
    assert "sql_mode=1099511627780" in made(SessionContext(sql_mode=1 << 40 | 4))


# Modes that one flavour alone has, or that say the opposite there: fractions are cut, or rounded.
CROSSED = {
    "ANSI_QUOTES": (4, True, 4 | 1 << 34),
    "strict, no backslash escapes, zero dates": (
        1 << 22 | 1 << 20 | 1 << 24,
        False,
        1 << 22 | 1 << 20 | 1 << 24 | 1 << 32,
    ),
    "MySQL's TIME_TRUNCATE_FRACTIONAL": (1 << 32 | 1 << 30, True, 1 << 30),
    "MariaDB's TIME_ROUND_FRACTIONAL": (1 << 34, False, 0),
    "MariaDB's EMPTY_STRING_IS_NULL": (1 << 32 | 1 << 34, False, 0),
    "MariaDB's ORACLE, NO_AUTO_CREATE_USER": (1 << 9 | 1 << 28 | 1 << 34, False, 0),
}


@pytest.mark.parametrize("name", CROSSED)
def test_a_mode_across_flavours(name: str) -> None:
    mode, to_mariadb, expected = CROSSED[name]
    assert crossed_mode(mode, to_mariadb=to_mariadb) == expected


def test_names_of_days_in_another_language() -> None:
    assert "lc_time_names=4" in made(SessionContext(lc_time_names=4))


def test_charsets_have_their_names_on_the_secondary() -> None:
    found = made(SessionContext(character_set_client=8, collation_connection=45, collation_server=8))
    assert {
        "character_set_client=latin1",
        "collation_connection=utf8mb4_general_ci",
        "collation_server=latin1_swedish_ci",
    } <= found
    assert made(SessionContext(collation_server=999)) == made(SessionContext())


@pytest.mark.parametrize("zone", ["+02:00", "SYSTEM", "Europe/Vienna", "-11:30"])
def test_a_zone(zone: str) -> None:
    assert f"time_zone='{zone}'" in made(SessionContext(time_zone=zone))


def test_a_zone_cannot_become_sql() -> None:
    assert "time_zone='+00:00'" in made(SessionContext(time_zone="x', sql_log_bin='0"))


def test_time_to_the_microsecond_and_more() -> None:
    text = context_statement(SessionContext(microseconds=42), 1700000000, {}, more=["a='b=c'"])
    assert "timestamp=1700000000.000042" in text
    assert text.endswith(", a='b=c'")


def test_the_reset_statement_covers_all_that_changes_rows() -> None:
    context = SessionContext(0, 0, 8, 45, 8, "+02:00", 4)
    reset = {part.partition("=")[0] for part in APPLY_SESSION.removeprefix("SET SESSION ").split(", ")}
    assert {part.partition("=")[0] for part in made(context)} <= reset
