"""Session variables on servers of releases that the tests do not have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.mysql import session_settings
from replica_cli.mysql.errnos import ER_ACCESS_DENIED, ER_UNKNOWN_SYSTEM_VARIABLE, Remedy, ServerError
from replica_cli.mysql.session_settings import apply_settings, settings_for

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


@dataclass
class OtherServer:
    version_text: str
    unknown: str
    errno: int = ER_UNKNOWN_SYSTEM_VARIABLE
    statements: list[str] = field(default_factory=list)

    def execute(self, sql: str) -> int:
        self.statements.append(sql)
        if f" {self.unknown}=" in sql:
            raise ServerError(self.errno, f"no {self.unknown}", "s", remedy=Remedy.FATAL)
        return 0


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_settings, "_taken", {})


def test_a_variable_that_a_release_does_not_have_is_left_out_and_queried_once() -> None:
    server = OtherServer("13.0.1-MariaDB", "query_cache_type")
    apply_settings(cast("Session", server))
    # All in one SET, then the charset and each variable alone.
    assert len(server.statements) == 2 + len(settings_for("13.0.2-MariaDB"))
    server.statements.clear()
    apply_settings(cast("Session", server))
    (statement,) = server.statements
    assert "query_cache_type" not in statement
    assert "transaction_isolation='REPEATABLE-READ'" in statement


def test_another_error_is_not_taken_for_a_missing_variable() -> None:
    server = OtherServer("9.9.9", "autocommit", ER_ACCESS_DENIED)
    with pytest.raises(ServerError, match="no autocommit"):
        apply_settings(cast("Session", server))


@pytest.mark.parametrize(
    ("version", "there", "absent"),
    [
        ("5.5.5-10.11.18-MariaDB-0+deb12u1", "tx_isolation", "transaction_isolation"),
        ("5.5.5-10.5.9-MariaDB", "idle_transaction_timeout", "old_mode"),
        ("11.8.9-MariaDB-log", "transaction_isolation", "tx_isolation"),
        ("11.8.9-MariaDB-log", "character_set_collations", "max_execution_time"),
        ("8.0.17", "information_schema_stats_expiry", "show_create_table_skip_secondary_engine"),
        ("9.7.4-commercial", "max_execution_time", "max_statement_time"),
    ],
)
def test_variables_by_release(version: str, there: str, absent: str) -> None:
    names = [name for name, _ in settings_for(version)]
    assert there in names
    assert absent not in names
