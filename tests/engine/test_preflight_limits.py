"""A server's and an account's limits of connections and statements, compared with what `replica` needs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, SessionNeed, Settings
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.limits import check_limits
from replica_cli.mysql.session import connect
from replica_cli.runtime.start_checks import check_before_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.reports.health import Finding
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

NEED = SessionNeed(is_primary=False, least=4, without_workers=8, of_workers=12, per_worker=3)
OK, WARNING, CRITICAL = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL
_PASSWORD = "a-Long-enough-1"

# What the account is given, what is checked, and what is to be read.
LIMITS = {
    "MAX_USER_CONNECTIONS 20": ("secondary-connections", OK, "max_user_connections is 20"),
    "MAX_USER_CONNECTIONS 15": ("secondary-connections", WARNING, "max_user_connections is 15, and a copy opens up to"),
    "MAX_USER_CONNECTIONS 3": ("secondary-connections", CRITICAL, "a stream needs 4 connections"),
    "MAX_QUERIES_PER_HOUR 500": ("secondary-hourly-limits", CRITICAL, "a stream needs MAX_QUERIES_PER_HOUR 20000"),
    "MAX_UPDATES_PER_HOUR 900000": ("secondary-hourly-limits", WARNING, "limited: MAX_UPDATES_PER_HOUR 900000"),
    "MAX_CONNECTIONS_PER_HOUR 60": ("secondary-hourly-limits", CRITICAL, "MAX_CONNECTIONS_PER_HOUR 1000"),
}


@pytest.fixture
def account(primary: SandboxServer) -> Iterator[str]:
    name = f"u_{secrets.token_hex(4)}"
    with primary.session() as session:
        session.execute(f"CREATE USER {name}@'%' IDENTIFIED BY '{_PASSWORD}'")
        yield name
        session.execute(f"DROP USER {name}@'%'")


def look(server: SandboxServer, user: str) -> dict[str, Finding]:
    with connect(server.address(user, password=_PASSWORD), Network()) as session:
        return {f.name: f for f in check_limits(session, read_facts(session), read_grants(session), NEED)}


def test_an_account_without_limits_is_right(primary: SandboxServer, account: str) -> None:
    assert {n: f.level for n, f in look(primary, account).items()} == {"secondary-connections": OK}


def test_each_limit_of_an_account_is_reported_with_the_statement_that_lifts_it(
    primary: SandboxServer, account: str
) -> None:
    with primary.session() as session:
        for limit, (name, level, said) in LIMITS.items():
            session.execute(f"ALTER USER {account}@'%' WITH {limit}")
            finding = look(primary, account)[name]
            assert (finding.level, said in finding.message) == (level, True), finding
            assert _PASSWORD not in repr(finding)
            if level is not OK:
                session.execute(finding.hint.partition(";")[0])
                lifted = look(primary, account)
                assert name not in lifted or lifted[name].level is OK, lifted
            session.execute(f"ALTER USER {account}@'%' WITH {limit.split()[0]} 0")


def test_fewer_workers_fit_under_a_limit() -> None:
    assert [NEED.workers_for(limit) for limit in (20, 19, 17, 16, 11, 8)] == [4, 3, 3, 2, 1, 0]


def test_a_server_with_few_connections_is_reported(
    server_factory: ServerFactory, primary: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    flavour, _, version = str(primary.binary).partition(":")
    server = server_factory(flavour, version, max_connections=12)
    settings = Settings(primary.address(), (server.address(name="db1"),), Selection((("shop", "shop"),)))
    check_before_start(settings, settings.secondaries[0])
    assert "secondary-connections: max_connections is 12" in caplog.text
    with server.session() as session:
        finding = check_limits(session, read_facts(session), read_grants(session), NEED)[0]
        assert (finding.level, finding.value) == (WARNING, 12)
        assert "REPLICA_TRANSFER_WORKERS=1" in finding.hint
        session.execute(finding.hint.partition(";")[0])
        assert check_limits(session, read_facts(session), read_grants(session), NEED)[0].level is OK
