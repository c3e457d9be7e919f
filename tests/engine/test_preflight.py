"""The findings for each variable and status of a real server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.reports.health import HealthLevel
from replica_cli.core.selection import Selection
from replica_cli.mysql.facts import ServerFacts, read_facts
from replica_cli.mysql.preflight.server_checks import check_primary, check_secondary, expiry_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica_cli.core.reports.health import Finding
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

SELECTION = Selection((("shop", "shop"),))


def levels(findings: Iterable[Finding]) -> dict[str, HealthLevel]:
    return {f.name: f.level for f in findings}


def found(findings: Iterable[Finding], name: str) -> Finding:
    return next(f for f in findings if f.name == name)


def with_variables(facts: ServerFacts, **variables: str) -> ServerFacts:
    return replace(facts, variables={**facts.variables, **variables})


def test_a_sandbox_pair_is_right(primary: SandboxServer, secondary: SandboxServer) -> None:
    with primary.session() as one, secondary.session() as two:
        facts = read_facts(one)
        findings = check_primary(one, facts, SELECTION, server_ids=(100, 101))
        findings += check_secondary(two, read_facts(two), facts, "replica_state", selection=SELECTION)
    wrong = [f for f in findings if f.level is not HealthLevel.OK]
    assert not wrong
    names = [f.name for f in findings]
    assert len(names) == len(set(names))


def test_mixed_format_and_minimal_image_on_a_real_server(server_factory: ServerFactory) -> None:
    server = server_factory(binlog_format="MIXED", binlog_row_image="MINIMAL", expire_logs_days=1)
    with server.session() as session:
        session.execute("SET GLOBAL binlog_expire_logs_seconds = 7200")
        findings = check_primary(session, read_facts(session))
    assert found(findings, "binlog-format").level is HealthLevel.CRITICAL
    assert "SET GLOBAL binlog_format = 'ROW'" in found(findings, "binlog-format").hint
    assert found(findings, "row-image").level is HealthLevel.WARNING
    assert found(findings, "binlog-retention").value == 7200
    assert found(findings, "binlog-retention").level is HealthLevel.WARNING


def test_no_binary_log(server_factory: ServerFactory) -> None:
    server = server_factory(log_bin=None, skip_log_bin="")
    with server.session() as session:
        assert levels(check_primary(session, read_facts(session)))["log-bin"] is HealthLevel.CRITICAL


def test_binlog_filters_that_hide_a_schema(server_factory: ServerFactory) -> None:
    server = server_factory(binlog_do_db="other")
    with server.session() as session:
        finding = found(check_primary(session, read_facts(session), SELECTION), "binlog-filters")
    assert finding.level is HealthLevel.CRITICAL
    assert "not logged: shop" in finding.message


@pytest.mark.servers("mariadb")
def test_semi_sync_is_named(server_factory: ServerFactory) -> None:
    server = server_factory(rpl_semi_sync_master_enabled="ON")
    with server.session() as session:
        finding = found(check_primary(session, read_facts(session)), "semi-sync")
    assert finding.level is HealthLevel.WARNING
    assert "no ACK" in finding.message


def test_prepared_transactions_are_counted(primary: SandboxServer, schema: str) -> None:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY)")
        xid = f"'{schema}'"
        for words in (f"XA START {xid}", f"INSERT INTO {schema}.t VALUES (1)", f"XA END {xid}", f"XA PREPARE {xid}"):
            session.execute(words)
        finding = found(check_primary(session, read_facts(session)), "prepared-transactions")
        session.execute(f"XA ROLLBACK {xid}")
        after = found(check_primary(session, read_facts(session)), "prepared-transactions")
    assert (finding.level, after.level) == (HealthLevel.WARNING, HealthLevel.OK)
    assert "1 prepared XA transaction: " in finding.message
    assert "XA RECOVER" in finding.hint


def test_our_server_id_is_the_primarys(primary: SandboxServer) -> None:
    with primary.session() as session:
        facts = read_facts(session)
        finding = found(check_primary(session, facts, server_ids=(facts.server_id,)), "primary-server-id")
    assert finding.level is HealthLevel.CRITICAL


def test_primary_named_as_secondary(primary: SandboxServer) -> None:
    with primary.session() as session:
        facts = read_facts(session)
        same = check_secondary(session, facts, facts, "replica_state", selection=SELECTION)
        routed = check_secondary(session, facts, facts, "replica_state", selection=Selection((("a", "b"),)))
    assert levels(same)["secondary-server-id"] is HealthLevel.CRITICAL
    assert levels(routed)["secondary-server-id"] is HealthLevel.OK


@pytest.mark.parametrize(
    ("name", "primary_values", "secondary_values", "level"),
    [
        ("lower-case-table-names", {"lower_case_table_names": "0"}, {"lower_case_table_names": "1"}, "CRITICAL"),
        ("lower-case-table-names", {"lower_case_table_names": "1"}, {"lower_case_table_names": "0"}, "WARNING"),
        ("max-allowed-packet", {"max_allowed_packet": "67108864"}, {"max_allowed_packet": "1048576"}, "WARNING"),
        ("secondary-read-only", {}, {"super_read_only": "ON"}, "CRITICAL"),
        ("secondary-read-only", {}, {"read_only": "ON"}, "OK"),  # the account of these tests may write all the same
        ("default-engine", {}, {"default_storage_engine": "MyISAM"}, "WARNING"),
        ("secondary-version", {}, {}, "OK"),
    ],
)
def test_two_sides_compared(
    secondary: SandboxServer, name: str, primary_values: dict[str, str], secondary_values: dict[str, str], level: str
) -> None:
    with secondary.session() as session:
        facts = read_facts(session)
        primary_facts = with_variables(facts, hostname="elsewhere", **primary_values)
        findings = check_secondary(session, with_variables(facts, **secondary_values), primary_facts, "replica_state")
    assert levels(findings)[name] is HealthLevel[level]


def test_an_older_secondary(secondary: SandboxServer) -> None:
    with secondary.session() as session:
        facts = read_facts(session)
        newer = replace(with_variables(facts, hostname="elsewhere"), version=(99, 1, 0))
        assert levels(check_secondary(session, facts, newer, "s"))["server-pair"] is HealthLevel.WARNING


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"binlog_expire_logs_seconds": "0", "expire_logs_days": "0.000000"}, None),
        ({"binlog_expire_logs_seconds": "3600", "expire_logs_days": "0.041667"}, 3600),
        ({"expire_logs_days": "2"}, 172800),
        ({"binlog_expire_logs_seconds": "3600", "binlog_expire_logs_auto_purge": "OFF"}, None),
        ({}, None),
    ],
)
def test_expiry_in_each_servers_words(variables: dict[str, str], seconds: int | None) -> None:
    assert expiry_seconds(ServerFacts(True, (10, 11, 0), "", 1, "", variables)) == seconds


@pytest.mark.servers("mysql")
def test_gtid_mode_off_is_a_warning_with_every_step(primary: SandboxServer) -> None:
    with primary.session() as session:
        facts = with_variables(read_facts(session), gtid_mode="OFF_PERMISSIVE", binlog_row_value_options="PARTIAL_JSON")
        findings = check_primary(session, facts)
    assert found(findings, "gtid-mode").hint.endswith("gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = ON;")
    assert found(findings, "row-value-options").level is HealthLevel.WARNING


@pytest.mark.parametrize(
    ("primary", "is_sql_wanted", "is_found"),
    [("MySQL", False, False), ("MySQL", True, True), ("MariaDB", False, True)],
)
def test_partial_json_is_refused_at_the_start_if_no_engine_applies_it(
    secondary: SandboxServer, primary: str, *, is_sql_wanted: bool, is_found: bool
) -> None:
    with secondary.session() as session:
        facts = replace(read_facts(session), is_mariadb=False)
        primary_values = with_variables(facts, hostname="elsewhere", binlog_row_value_options="PARTIAL_JSON")
        # Which of the two is the other flavour is all the same.
        primary_values = replace(primary_values, is_mariadb=primary == "MariaDB")
        findings = check_secondary(session, facts, primary_values, "s", is_sql_wanted=is_sql_wanted)
    assert ("partial-json" in levels(findings)) == is_found
    if is_found:
        assert levels(findings)["partial-json"] is HealthLevel.CRITICAL
        assert "SET GLOBAL binlog_row_value_options = ''" in found(findings, "partial-json").hint


# What is wrong on the primary and on the secondary, by the variables that say so; the finding; its cure.
WRONG: tuple[tuple[dict[str, str], dict[str, str], str, str], ...] = (
    ({"log_bin": "OFF"}, {}, "log-bin", "log_bin"),
    ({"binlog_format": "STATEMENT"}, {}, "binlog-format", "SET GLOBAL binlog_format = 'ROW'"),
    ({"binlog_row_image": "MINIMAL"}, {}, "row-image", "SET GLOBAL binlog_row_image = 'FULL'"),
    ({"binlog_row_value_options": "PARTIAL_JSON"}, {}, "row-value-options", "SET GLOBAL binlog_row_value_options = ''"),
    ({"binlog_expire_logs_seconds": "60"}, {}, "binlog-retention", "SET GLOBAL binlog_expire_logs_seconds ="),
    ({"server_id": "0"}, {}, "primary-server-id", "SET GLOBAL server_id ="),
    ({"rpl_semi_sync_master_enabled": "ON"}, {}, "semi-sync", "SET GLOBAL rpl_semi_sync_master_enabled = OFF"),
    ({"max_allowed_packet": "1073741824"}, {}, "max-allowed-packet", "SET GLOBAL max_allowed_packet = 1073741824"),
    ({}, {"lower_case_table_names": "1"}, "lower-case-table-names", "set up the secondary again"),
    ({}, {"super_read_only": "ON"}, "secondary-read-only", "SET GLOBAL super_read_only = OFF"),
    ({}, {"default_storage_engine": "Aria"}, "default-engine", "SET GLOBAL default_storage_engine = 'InnoDB'"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong[2])
def test_each_finding_says_what_mends_it(
    primary: SandboxServer, secondary: SandboxServer, wrong: tuple[dict[str, str], dict[str, str], str, str]
) -> None:
    primary_values, secondary_values, name, cure = wrong
    with primary.session() as one, secondary.session() as two:
        facts = with_variables(read_facts(one), **primary_values)
        facts = replace(facts, server_id=int(primary_values.get("server_id", facts.server_id)))
        target = with_variables(read_facts(two), **secondary_values)
        findings = check_primary(one, facts, SELECTION, server_ids=(100,))
        findings += check_secondary(two, target, facts, "replica_state", selection=SELECTION, server_ids=(100,))
    bad = {f.name: f for f in findings if f.level is not HealthLevel.OK}
    assert name in bad
    assert cure in bad[name].hint
    # Whatever else comes of it says so too.
    assert all(f.hint for f in bad.values())


def test_a_primary_that_may_not_log_what_it_replicates_itself(primary: SandboxServer) -> None:
    with primary.session() as session:
        facts = read_facts(session)
        name = "log_slave_updates" if facts.is_mariadb else "log_replica_updates"
        findings = check_primary(session, with_variables(facts, **{name: "OFF"}), SELECTION, server_ids=(100,))
    if facts.is_mariadb:
        # It has no primary of its own, so nothing is missing.
        assert "log-replica-updates" not in levels(findings)
        return
    assert levels(findings)["log-replica-updates"] is HealthLevel.WARNING
    assert "log_replica_updates=ON" in found(findings, "log-replica-updates").hint


def test_sessions_that_are_not_logged_are_reported(secondary: SandboxServer) -> None:
    with secondary.session() as session:
        facts = with_variables(read_facts(session), hostname="elsewhere")
        session.execute("SET SESSION sql_log_bin = 0")
        finding = found(check_secondary(session, facts, facts, "s"), "sql-log-bin")
    assert finding.level is HealthLevel.WARNING
    assert "init_connect" in finding.hint


@pytest.mark.servers("mariadb", "10.11")
def test_a_secondary_on_which_no_session_may_set_the_time(server_factory: ServerFactory) -> None:
    with server_factory("mariadb", "10.11", secure_timestamp="YES").session() as session:
        facts = read_facts(session)
        finding = found(check_secondary(session, facts, facts, "s"), "statement-times")
    assert finding.level is HealthLevel.CRITICAL
    assert "secure_timestamp=NO" in finding.hint
