"""The settings that a running stream takes at a reload, and the report about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from replica_cli.config.loading import Configuration, read_configuration
from replica_cli.config.reloading import reloaded

BASE = {"MARIA_SECONDARY_HOSTS": "db2"}
NOWHERE = Path("no such folder/.env")


def read(environ: dict[str, str] | None = None) -> Configuration:
    return read_configuration(None, {**BASE, **(environ or {})}, NOWHERE)


def read_file(folder: Path, text: str, environ: dict[str, str] | None = None) -> Configuration:
    path = folder / "replica.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return read_configuration(None, environ or {}, NOWHERE, path)


@pytest.mark.parametrize(
    ("name", "value", "before"),
    [("REPLICA_LEASE", "9s", "5s"), ("REPLICA_READ_TIMEOUT", "77s", "10s"), ("REPLICA_PROGRESS_FOLDER", "/no", ".")],
)
def test_what_needs_a_new_start_is_named_and_changes_nothing(name: str, value: str, before: str) -> None:
    old = read()
    configuration, report = reloaded(old, read({name: value}))
    assert (report.settings, configuration.settings, report.taken) == (old.settings, old.settings, ())
    assert list(map(str, report.refused)) == [f"{name} {before} -> {value}"]
    # It is named again at the next reload, as it is still not in use.
    assert reloaded(configuration, read({name: value}))[1].refused == report.refused


def test_what_a_stream_takes_is_in_the_settings() -> None:
    environ = {"REPLICA_BATCH_AGE": "1s", "REPLICA_TRANSFER_WORKERS": "3", "REPLICA_LOG_LEVEL": "DEBUG"}
    _, report = reloaded(read(), read(environ))
    assert list(map(str, report.taken)) == [
        "REPLICA_TRANSFER_WORKERS nothing -> 3", "REPLICA_BATCH_AGE 200ms -> 1s", "REPLICA_LOG_LEVEL INFO -> DEBUG",
    ]  # fmt: skip
    assert report.refused == ()
    assert (report.settings.batching.age_seconds, report.settings.transfer.workers) == (1.0, 3)
    assert report.settings.logging.level == "DEBUG"


def test_another_text_with_the_same_value_is_no_change() -> None:
    _, report = reloaded(read(), read({"REPLICA_MAX_LAG": "1m"}))
    assert (report.taken, report.refused) == ((), ())


def test_filters_are_taken_if_they_only_leave_tables_out() -> None:
    old = read({"REPLICA_EXCLUDE_TABLES": "replica.a"})
    _, report = reloaded(old, read({"REPLICA_EXCLUDE_TABLES": "replica.a,replica.b"}))
    assert list(map(str, report.taken)) == ["REPLICA_EXCLUDE_TABLES replica.a -> replica.a,replica.b"]
    assert report.settings.selection.excluded_tables == ("replica.a", "replica.b")
    _, report = reloaded(old, read())
    assert report.settings == old.settings
    assert "they select more tables" in str(report.refused[0])


def test_a_secret_is_masked() -> None:
    _, report = reloaded(read({"MARIA_PASS": "geheim-1"}), read({"MARIA_PASS": "geheim-2"}))
    assert [str(c) for c in report.refused] == ["MARIA_PASS *** -> ***"]


def test_what_a_secondary_has_of_its_own_is_taken(tmp_path: Path) -> None:
    old = read_file(tmp_path, "secondaries: [{host: a, batch: {age: 1s}}, {host: b}]")
    new = read_file(
        tmp_path,
        "secondaries: [{host: a}, {host: b, batch: {age: 2s}, user: x}]\nrules: [{tables: replica.t, ddl: stop}]",
    )
    _, report = reloaded(old, new)
    assert list(map(str, report.taken)) == [
        "rules nothing -> [0].tables=replica.t, [0].ddl=stop",
        "secondaries[0].batch.age 1s -> 200ms",
        "secondaries[1].batch.age 200ms -> 2s",
    ]  # fmt: skip
    assert [str(c) for c in report.refused] == ["secondaries[1].user replica -> x"]
    ages = [report.settings.of(s.name).batching.age_seconds for s in report.settings.secondaries]
    assert ages == [0.2, 2.0]
    assert len(report.settings.apply.rules) == 1


def test_other_secondaries_need_a_new_start(tmp_path: Path) -> None:
    old = read_file(tmp_path, "secondaries: [{host: a, batch: {age: 1s}}]")
    new = read_file(tmp_path, "secondaries: [{host: b, batch: {age: 3s}}, {host: a}]\nbatch: {transactions: 7}")
    _, report = reloaded(old, new)
    assert [c.name for c in report.refused] == ["secondaries"]
    assert [c.name for c in report.taken] == ["batch.transactions"]
    assert report.settings.secondaries == old.settings.secondaries
    own = report.settings.of("a:3306").batching
    assert (own.age_seconds, own.transactions) == (1.0, 7)


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ("{age: 200ms, transactions: 7}", "{transactions: 7}", ["secondaries[0].batch.age 200ms -> 5s"]),
        ("{transactions: 7}", "{age: 200ms, transactions: 7}", ["secondaries[0].batch.age 5s -> 200ms"]),
        ("{age: 5s}", "{transactions: 5000}", []),
    ],
)
def test_the_value_that_holds_is_compared(tmp_path: Path, before: str, after: str, taken: list[str]) -> None:
    text = "secondaries: [{{host: a, batch: {}}}]\nbatch: {{age: {}}}"
    new = read_file(tmp_path, text.format(after, "5s"))
    configuration, report = reloaded(read_file(tmp_path, text.format(before, "5s")), new)
    assert list(map(str, report.taken)) == taken
    assert report.settings == new.settings
    # What is given holds later too, when the setting of all secondaries changes.
    newest = read_file(tmp_path, text.format(after, "9s"))
    assert reloaded(configuration, newest)[1].settings == newest.settings


def test_a_name_that_is_the_address_is_the_same_secondary(tmp_path: Path) -> None:
    old = read_file(tmp_path, "secondaries: [{host: a}]")
    new = read_file(tmp_path, "secondaries: [{host: a, port: 3306, name: 'a:3306'}]\nbatch: {age: 1s}")
    _, report = reloaded(old, new)
    assert (list(map(str, report.taken)), report.refused) == (["batch.age 200ms -> 1s"], ())


def test_a_certificate_may_be_replaced_by_a_file_of_another_name(tmp_path: Path) -> None:
    for name in ("old.pem", "new.pem"):
        (tmp_path / name).touch()
    text = "secondaries: [{{host: a}}]\nsecondary_tls: {{ca: {}}}"
    old = read_file(tmp_path, text.format("old.pem"))
    new = read_file(tmp_path, text.format("new.pem"))
    (tmp_path / "old.pem").unlink()
    _, report = reloaded(old, new)
    assert [c.name for c in report.refused] == ["secondary_tls.ca"]
    assert report.settings == old.settings


def test_the_first_rule_is_taken(tmp_path: Path) -> None:
    text = "secondaries: [{host: a}]\nrules: "
    new = read_file(tmp_path, text + "[{tables: replica.t, ddl: stop}]")
    _, report = reloaded(read_file(tmp_path, text + "[]"), new)
    assert list(map(str, report.taken)) == ["rules nothing -> [0].tables=replica.t, [0].ddl=stop"]
    assert report.settings == new.settings


def test_a_secret_in_another_setting_is_masked(tmp_path: Path) -> None:
    text = "secondaries: [{host: a, user: '${MARIA_PASS}'}]"
    secrets = [{"MARIA_PASS": "geheim-1"}, {"MARIA_PASS": "geheim-2"}]
    _, report = reloaded(*(read_file(tmp_path, text, environ) for environ in secrets))
    assert [str(c) for c in report.refused] == ["MARIA_PASS *** -> ***", "secondaries[0].user *** -> ***"]
    configuration, _ = reloaded(*(read_file(tmp_path, text, environ) for environ in secrets))
    _, report = reloaded(configuration, read_file(tmp_path, text, {"MARIA_PASS": "geheim-3"}))
    assert "geheim" not in str(report.refused)
