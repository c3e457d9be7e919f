"""The rules of the growth benchmark on values that are given, and one of its parts on servers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from replica_cli.core.settings import Network
from replica_cli.mysql.session import connect
from replica_cli.sandbox.binaries import Flavour, select_binary
from replica_cli.sandbox.sandbox import Sandbox
from tests.bench.failure import RunFailed
from tests.bench.growth import command, tables
from tests.bench.growth.counters import transactions_of
from tests.bench.growth.pair import Plan, cost_of_run, rig_with
from tests.bench.growth.record import Record
from tests.bench.growth.report import as_json, as_text
from tests.bench.growth.series import Limit, Sample, Series, growth, judged
from tests.support.proxy import Proxy

needs_server = pytest.mark.skipif(select_binary(Flavour.MARIADB) is None, reason="no MariaDB server on this machine")


def series(values: dict[int, float], **rules: object) -> Series:
    samples = tuple(Sample(size, {"client_cpu": value}) for size, value in values.items())
    return Series("part", "name", "tables", samples, **rules)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("points", "times"),
    [
        # The figures of a copy that was not linear, and a linear one with a start of its own.
        ([(100, 2.3), (300, 9.3), (1000, 64.0)], 2.23),
        ([(100, 1.5), (1000, 10.5), (5000, 50.5)], 1.0),
        # A part of the sizes may be steeper: it counts also if it is not the last.
        ([(10, 1.0), (20, 2.0), (30, 10.0), (40, 11.0)], 8.0),
        ([(100, 1.0), (1000, 10.0)], 1.0),
        ([(100, 1.0), (1000, 100.0)], 10.0),
        # Rises that are noise.
        ([(100, 0.5), (1000, 0.6), (5000, 0.7)], 0.0),
        ([(100, 0.5), (1000, 0.6)], 0.0),
    ],
)
def test_growth_is_that_of_the_slopes(points: list[tuple[int, float]], times: float) -> None:
    assert growth(points, 0.3) == pytest.approx(times, abs=0.01)


def test_one_size_says_nothing_about_growth() -> None:
    assert growth([(100, 1.0)], 0.3) is None
    assert judged(series({100: 1.0}, linear=("client_cpu",), flat=("client_cpu",))) == []


def test_each_rule_is_met_up_to_its_bound() -> None:
    def met(values: dict[int, float], **rules: object) -> list[bool]:
        return [verdict.is_met for verdict in judged(series(values, **rules))]

    linear, flat = {"linear": ("client_cpu",)}, {"flat": ("client_cpu",)}
    limits = {"limits": (Limit("client_cpu", most=1.0, each=0.01, first=200),)}
    assert met({100: 10.0, 200: 20.0, 400: 43.0}, **linear) == [True]
    assert met({100: 10.0, 200: 20.0, 400: 45.0}, **linear) == [False]
    assert met({100: 10.0, 200: 12.2}, **flat) == [True]
    assert met({100: 10.0, 200: 12.4}, **flat) == [False]
    assert met({100: 99.0, 200: 3.0, 300: 4.1}, **limits) == [True, False]


def test_a_run_that_fails_is_a_rule_not_met_and_ends_its_series() -> None:
    record = Record(is_quiet=True)
    record.expect([Series("part", "name", "tables", linear=("client_cpu",))])

    def fail() -> dict[str, float]:
        raise RunFailed("not ended in 60 s")

    assert record.measure("part", "name", 10, lambda: {"client_cpu": 1.0}) == {"client_cpu": 1.0}
    assert record.measure("part", "name", 20, fail) == {}
    assert record.measure("part", "name", 30, lambda: {"client_cpu": 1.0}) == {}
    record.fail("other", "no server")
    (one, other) = record.series
    assert [sample.size for sample in one.samples] == [10, 20]
    assert [(v.what, v.measured, v.is_met) for v in judged(one)] == [("20 tables", "not ended in 60 s", False)]
    assert [v.measured for v in judged(other)] == ["no server"]


def test_a_wrong_part_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--only", "tables,nothing"])
    assert ended.value.code == 2
    assert "no such part: nothing" in capsys.readouterr().err


def test_transactions_of_a_gtid_set_are_counted() -> None:
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    assert transactions_of(f"{uuid}:1-5:7,\n{uuid[::-1]}:1-3") == 9
    assert transactions_of("") == 0


@needs_server
def test_a_proxy_counts_each_wait_for_an_answer_once() -> None:
    with Sandbox() as sandbox:
        server = sandbox.start()
        proxy = Proxy(server.port)
        try:
            with connect(replace(server.address(), port=proxy.port), Network()) as session:
                before = proxy.turns
                for _ in range(5):
                    session.rows("SELECT 1")
                assert proxy.turns == before + 5
                session.send([b"DO 1"] * 5)
                for number in range(5):
                    session.receive(is_first=not number)
                assert proxy.turns == before + 6
        finally:
            proxy.close()


@needs_server
def test_a_copy_is_counted_and_reported() -> None:
    binary = select_binary(Flavour.MARIADB)
    assert binary is not None
    plan = Plan(binary, is_small=True, patience_seconds=60)
    record = Record(is_quiet=True)
    record.expect(tables.SERIES)
    with rig_with(plan, lambda session: tables.make_tables(session, 5), is_empty=True) as rig:
        found = record.measure("tables", "copy", 5, lambda: cost_of_run(rig, plan, "transfer"))
        with rig.secondary.session() as session:
            assert session.rows("SELECT COUNT(*) FROM growth.t4") == [(10,)]
        # Nothing is counted twice and the counting itself not at all.
        idle = cost_of_run(rig, plan, "--version")
    assert {name: idle[f"{name}_statements"] for name in ("primary", "secondary")} == {"primary": 0, "secondary": 0}
    assert idle["secondary_log"] == 0
    # A copy reads each of the 51 rows and asks about each of the six tables.
    assert found["primary_reads"] >= 50
    assert found["primary_statements"] > 6
    assert found["secondary_statements"] > 6
    assert found["secondary_log"] > 0
    assert found["client_cpu"] > 0.1
    assert found["client_mib"] > 10
    text, document = as_text(plan, record.series), json.loads(as_json(plan, record.series))
    assert "### tables: copy" in text
    assert document["series"][0]["samples"][0]["values"]["primary_statements"] == found["primary_statements"]


@needs_server
def test_a_command_that_does_not_end_is_killed() -> None:
    binary = select_binary(Flavour.MARIADB)
    assert binary is not None
    plan = Plan(binary, is_small=True, patience_seconds=0.5)
    with (
        rig_with(plan, lambda session: tables.make_tables(session, 1), is_empty=True) as rig,
        pytest.raises(RunFailed, match="not ended in 0 s"),
    ):
        cost_of_run(rig, plan, "stream")
