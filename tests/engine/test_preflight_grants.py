"""Grants: read from both flavours' SHOW GRANTS, roles and patterns included; what is missing comes as a statement.

The statements that a finding names are run, and then nothing may be missing: a GRANT that only looks right fails here.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.preflight.grants import parse_grants, read_grants
from replica_cli.mysql.preflight.server_checks import check_primary, check_secondary
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.reports.health import Finding
    from replica_cli.sandbox.server import SandboxServer

pytestmark = pytest.mark.every_release

MARIADB = [
    "GRANT `rr` TO `r`@`%`",
    "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AE'",
    "GRANT SELECT ON `we``ird ON x`.* TO `r`@`%`",
    "GRANT SELECT (`a`, `b`), UPDATE ON `shop`.`t` TO `r`@`%`",
    "GRANT `rr2` TO `rr`",
    "GRANT SELECT, INSERT ON `sh\\_op`.* TO `rr`",
    "GRANT ALL PRIVILEGES ON `app%`.* TO `rr` WITH GRANT OPTION",
    "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `r`@`%`",
    "GRANT PROXY ON ``@`%` TO `r`@`%` WITH GRANT OPTION",
    "GRANT SELECT ON `*`.* TO `r`@`%`",
    "SET DEFAULT ROLE `rr` FOR `r`@`%`",
]
MYSQL = [
    "GRANT SELECT, REPLICATION SLAVE ON *.* TO `r`@`%` WITH GRANT OPTION",
    "GRANT BACKUP_ADMIN,BINLOG_ADMIN ON *.* TO `r`@`%`",
    "GRANT `rr`@`%` TO `r`@`%`",
    "REVOKE SELECT ON `hr`.* FROM `r`@`%`",
]


def test_mariadb_lines() -> None:
    grants = parse_grants(MARIADB, account="`r`@`%`")
    assert grants.allows("BINLOG MONITOR")
    assert not grants.allows("SELECT")  # on a schema named `*` only
    assert grants.allows_on_schema("SELECT", "we`ird ON x")
    assert grants.allows_on_schema("INSERT", "sh_op")
    assert not grants.allows_on_schema("INSERT", "shXop")
    assert grants.allows_on_schema("TRIGGER", "app1")
    assert grants.allows_on_table("UPDATE", "shop", "t")
    assert not grants.allows_on_table("SELECT", "shop", "t")  # two columns are not the table
    assert not grants.allows_on_table("UPDATE", "shop", "u")


def test_mysql_lines() -> None:
    grants = parse_grants(MYSQL, account="`r`@`%`", has_wildcards=False)
    assert grants.allows("BINLOG_ADMIN")
    assert grants.allows_on_schema("SELECT", "shop")
    assert not grants.allows_on_schema("SELECT", "hr")


@pytest.mark.parametrize(
    ("has_wildcards", "place"), [(True, r"`a\_b``c`.*"), (False, "`a_b``c`.*")], ids=["wildcards", "literal"]
)
def test_statement_opens_no_more_than_asked(has_wildcards: bool, place: str) -> None:  # noqa: FBT001  a parameter
    grants = parse_grants([], account="`r`@`%`", has_wildcards=has_wildcards)
    assert grants.statement(["SELECT"], "a_b`c") == f"GRANT SELECT ON {place} TO `r`@`%`;"


@pytest.fixture
def account(primary: SandboxServer) -> Iterator[str]:
    name = f"u_{secrets.token_hex(4)}"
    with primary.session() as session:
        session.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'a-Long-enough-1'")
        yield name
        session.execute(f"DROP USER {name}@'%'")


def findings_for(server: SandboxServer, user: str, selection: Selection) -> dict[str, Finding]:
    with connect(server.address(user, password="a-Long-enough-1"), Network()) as session:
        facts = read_facts(session)
        found = check_primary(session, facts, selection)
        found += check_secondary(session, facts, facts, "my_state", selection=selection)
    return {f.name: f for f in found}


def type_hints(server: SandboxServer, *findings: Finding) -> None:
    with server.session() as session:
        for finding in findings:
            for statement in finding.hint.split("; "):
                session.execute(statement.rstrip(";"))


@pytest.mark.parametrize("routes", [(("a_b", "a_b"),), (("a_b", "c%d"), ("x`y", "x`y"))], ids=["one", "routed"])
def test_missing_privileges_are_named_and_the_statements_mend_it(
    primary: SandboxServer, account: str, routes: tuple[tuple[str, str], ...]
) -> None:
    selection = Selection(routes)
    before = findings_for(primary, account, selection)
    assert before["primary-grants"].level is HealthLevel.CRITICAL
    assert before["secondary-grants"].level is HealthLevel.CRITICAL
    assert f"TO `{account}`@`%`;" in before["primary-grants"].hint
    type_hints(primary, before["primary-grants"], before["secondary-grants"])
    after = findings_for(primary, account, selection)
    assert (after["primary-grants"].level, after["primary-grants"].message) == (
        HealthLevel.OK,
        f"`{account}`@`%` has all privileges that it needs",
    )
    assert after["secondary-grants"].level is HealthLevel.OK


def test_all_schemas_need_grants_everywhere(primary: SandboxServer, account: str) -> None:
    selection = Selection((), takes_all_schemas=True)
    before = findings_for(primary, account, selection)
    assert "GRANT SELECT ON *.* TO" in before["primary-grants"].hint
    type_hints(primary, before["primary-grants"], before["secondary-grants"])
    assert findings_for(primary, account, selection)["secondary-grants"].level is HealthLevel.OK


def test_named_tables_need_no_more_than_themselves(primary: SandboxServer, account: str, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.keyed (id INT PRIMARY KEY)")
        session.execute(f"CREATE TABLE {schema}.plain (id INT) ENGINE=MyISAM")
    keyed = Selection(((schema, schema),), tables=(f"{schema}.keyed",))
    hint = findings_for(primary, account, keyed)["primary-grants"].hint
    assert f"GRANT SELECT ON `{schema}`.`keyed` TO" in hint
    assert "LOCK TABLES" not in hint


def test_tables_that_must_be_locked(primary: SandboxServer, account: str, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.plain (id INT PRIMARY KEY) ENGINE=MyISAM")
        session.execute(f"GRANT SELECT ON {schema}.* TO {account}@'%'")
    finding = findings_for(primary, account, Selection(((schema, schema),)))["primary-grants"]
    assert "LOCK TABLES" in finding.message
    type_hints(primary, finding)
    assert findings_for(primary, account, Selection(((schema, schema),)))["primary-grants"].level is HealthLevel.OK


def test_an_active_role_counts_and_an_inactive_one_does_not(primary: SandboxServer, account: str) -> None:
    role = f"{account}_role"
    with primary.session() as session:
        session.execute(f"CREATE ROLE {role}")
        session.execute(f"GRANT SELECT ON shop.* TO {role}")
        session.execute(f"GRANT {role} TO {account}@'%'")
        address = primary.address(account, password="a-Long-enough-1")
        try:
            with connect(address, Network()) as limited:
                assert not read_grants(limited).allows_on_schema("SELECT", "shop")
            preposition = "FOR" if session.is_mariadb else "TO"
            session.execute(f"SET DEFAULT ROLE {role} {preposition} {account}@'%'")
            with connect(address, Network()) as limited:
                grants = read_grants(limited)
                assert grants.allows_on_schema("SELECT", "shop")
                assert grants.account == f"`{account}`@`%`"
        finally:
            session.execute(f"DROP ROLE {role}")
