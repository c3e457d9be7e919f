"""The session of a logged statement as one SET."""

from __future__ import annotations

import pytest

from replica_cli.core.events import SessionContext
from replica_cli.sqlbuilder.context import APPLY_SESSION, context_statement

COLLATIONS = {8: ("latin1_swedish_ci", "latin1"), 45: ("utf8mb4_general_ci", "utf8mb4")}


def made(context: SessionContext, *, has_same_modes: bool = True) -> set[str]:
    text = context_statement(context, 1700000000, COLLATIONS, has_same_modes=has_same_modes)
    assert text.startswith("SET SESSION ")
    return set(text.removeprefix("SET SESSION ").split(", "))


def test_a_bare_statement() -> None:
    assert made(SessionContext()) == {
        "autocommit=1", "timestamp=1700000000.000000", "foreign_key_checks=1", "unique_checks=1", "sql_auto_is_null=0",
    }  # fmt: skip


def test_flags() -> None:
    found = made(SessionContext(flags2=1 << 26 | 1 << 27 | 1 << 14))
    assert {"foreign_key_checks=0", "unique_checks=0", "sql_auto_is_null=1"} <= found


def test_the_mode_only_where_its_bits_mean_the_same() -> None:
    assert "sql_mode=1099511627780" in made(SessionContext(sql_mode=1 << 40 | 4))
    assert "sql_mode=4" in made(SessionContext(sql_mode=1 << 40 | 4), has_same_modes=False)


def test_charsets_by_their_names_here() -> None:
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
    text = context_statement(SessionContext(microseconds=42), 1700000000, {}, has_same_modes=True, more={"a": "'b=c'"})
    assert "timestamp=1700000000.000042" in text
    assert text.endswith(", a='b=c'")


def test_the_way_back_resets_all_that_changes_rows() -> None:
    context = SessionContext(0, 0, 8, 45, 8, "+02:00")
    reset = {part.partition("=")[0] for part in APPLY_SESSION.removeprefix("SET SESSION ").split(", ")}
    assert {part.partition("=")[0] for part in made(context)} <= reset
