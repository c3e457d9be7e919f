"""Filters that select nothing, or other tables than they seem to, are reported with the most similar name."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.requests.health import HealthRequest
from replica_cli.core.requests.transfer import TransferRequest
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Settings
from replica_cli.mysql.preflight.selection_check import look_at_selection
from replica_cli.mysql.session import connect
from replica_cli.runtime.start_checks import check_before_start
from replica_cli.service.health import check_health
from replica_cli.service.transfer import plan_transfer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer

PASSWORD = "a-Long-enough-1"


@pytest.fixture
def sakila(primary: SandboxServer) -> Iterator[str]:
    name = f"sakila_{secrets.token_hex(3)}"
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {name}")
        session.execute(f"CREATE TABLE {name}.film (id INT PRIMARY KEY)")
        session.execute(f"CREATE TABLE {name}.actor (id INT PRIMARY KEY)")
        session.execute(f"CREATE VIEW {name}.films AS SELECT * FROM {name}.film")
        yield name
        session.execute(f"DROP DATABASE {name}")


def test_each_mistake_is_said_with_the_nearest_name_and_no_other(primary: SandboxServer, sakila: str) -> None:
    upper = sakila.title()
    cases: list[tuple[Selection, str | None, str]] = [
        (Selection(((sakila, sakila),)), None, ""),
        (Selection(((upper, upper),)), f"the filters select no table; schema {upper!r} is not on", repr(sakila)),
        (Selection(((sakila[:-1], "x"),)), f"schema {sakila[:-1]!r} is not on the primary", repr(sakila)),
        (Selection((("nowhere", "x"), (sakila, sakila))), "schema 'nowhere' is not on the primary; 2 tables", "check"),
        (Selection(((sakila, sakila),), tables=(f"{sakila}.flim",)), "no table matches", f"{sakila}.film"),
        (Selection(((sakila, sakila),), tables=(f"{sakila}.F*",)), "no table matches", f"{sakila}.film"),
        (Selection(((sakila, sakila),), tables=(f"{sakila}.films",)), "no table matches", f"{sakila}.film"),
        (Selection(((sakila, sakila),), tables=(f"{sakila}.f*", f"{sakila}.x*")), "1 table selected", "check"),
        (Selection(((sakila, sakila),), excluded_tables=(f"{sakila}.Actor",)), "no table matches", f"{sakila}.actor"),
        (Selection(((sakila, sakila),), excluded_tables=(f"{sakila}.ACT*",)), "no table matches", f"{sakila}.actor"),
        (Selection(((sakila, sakila),), excluded_tables=("*.tmp_*",)), None, ""),
        (Selection(((sakila, sakila),), excluded_tables=("*",)), "the filters select no table", "check"),
        (Selection((), takes_all_schemas=True, tables=("nowhere.*",)), "the filters select no table", "check"),
    ]  # fmt: skip
    with primary.session() as session:
        for selection, message, hint in cases:
            finding = look_at_selection(session, selection).finding
            if message is None:
                assert (finding.level, finding.message) == (HealthLevel.OK, "2 tables"), selection
                continue
            assert finding.level is HealthLevel.WARNING, selection
            assert message in finding.message, (selection, finding)
            assert hint in finding.hint, (selection, finding)


def test_a_schema_that_does_not_exist_is_no_missing_privilege(
    primary: SandboxServer, secondary: SandboxServer, sakila: str, caplog: pytest.LogCaptureFixture
) -> None:
    user, upper = f"u_{secrets.token_hex(4)}", sakila.upper()
    with primary.session() as one, secondary.session() as two:
        for session in (one, two):
            session.execute(f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'")
            session.execute(f"GRANT ALL ON `my\\_state`.* TO {user}@'%'")
            session.execute(f"GRANT ALL ON `{sakila}`.* TO {user}@'%'")
        one.execute(f"GRANT REPLICATION SLAVE ON *.* TO {user}@'%'")
        one.execute(f"GRANT {'BINLOG MONITOR' if one.is_mariadb else 'REPLICATION CLIENT'} ON *.* TO {user}@'%'")
        try:
            primary_address = primary.address(user, password=PASSWORD)
            secondary_address = secondary.address(user, password=PASSWORD, name="db1")
            settings = Settings(primary_address, (secondary_address,), Selection(((upper, upper),)), 700, "my_state")
            with connect(primary_address, Network()) as session:
                assert look_at_selection(session, settings.selection).absent == {upper}
                hidden = look_at_selection(session, Selection((("hidden", "hidden"),)))
            assert (hidden.absent, "or this user may not see it" in hidden.finding.message) == (frozenset(), True)
            found = {c.name: c for c in check_health(settings, HealthRequest((secondary_address,))).checks}
            assert found["primary-grants"].level is not HealthLevel.CRITICAL, found["primary-grants"]
            assert upper not in found["primary-grants"].hint + found["secondary-grants"].hint
            assert (found["selected-tables"].level, found["selected-tables"].hint) == (
                HealthLevel.WARNING, f"did you mean {sakila!r} in REPLICA_SCHEMAS?",
            )  # fmt: skip
            check_before_start(settings, secondary_address)
            assert f"did you mean {sakila!r}" in caplog.text
            (made,) = plan_transfer(settings, TransferRequest((secondary_address,)))
            assert any(f"did you mean {sakila!r}" in w for w in made.shown.warnings)
        finally:
            for session in (one, two):
                session.execute(f"DROP USER {user}@'%'")
