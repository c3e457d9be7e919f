from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from replica_cli.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

COMMANDS = {
    "stream": ["--no-transfer", "--until-caught-up", "--standby", "--engine", "--listen", "--secondary", "--json"],
    "transfer": [
        "--resume",
        "--restart",
        "--table",
        "--workers",
        "--batch-size",
        "--dry-run",
        "--yes",
        "--all",
        "--listen",
    ],
    "pause": ["--secondary", "--json"],
    "resume": ["--secondary", "--json"],
    "position show": ["--watch", "--interval", "--count", "--secondary", "--json"],
    "position reset": ["--to", "--to-current", "--gtid", "--accept-filters", "--yes", "--dry-run", "--all"],
    "drift check": ["--sql", "--secondary", "--json"],
    "verify run": [
        "--table",
        "--resume",
        "--restart",
        "--workers",
        "--rate",
        "--max-lag",
        "--max-differences",
        "--count-only",
        "--sql",
        "--html",
        "--values",
    ],
    "verify repair": ["--table", "--only", "--all", "--dry-run", "--yes"],
    "verify show": ["--values", "--secondary", "--json"],
    "health": ["--max-lag", "--quiet", "--json"],
    "config check": ["--config", "--env-file", "--json"],
    "config show": ["--config", "--defaults", "--json"],
    "config init": ["--output", "--force"],
    "demo": ["--keep", "--seconds", "--rows", "--json"],
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os  # noqa: PLC0415 - only to clear what the tests were started with

    for name in list(os.environ):  # noqa: TID251 - as above
        if name.startswith(("MARIA_", "REPLICA_", "GRAYLOG_", "TRANSFER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, list(args), env=env)  # type: ignore[return-value]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_options_two_examples_and_exit_codes(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    for option in (*COMMANDS[command], "--verbose", "--color"):
        assert option in result.stdout, option
    examples, _, codes = result.stdout.partition("Exit codes:")
    assert len(re.findall(rf"^ +\$ replica {command}\b", examples, re.MULTILINE)) >= 2
    assert re.search(r"^ +0 ", codes, re.MULTILINE)
    assert re.search(r"^ +2 ", codes, re.MULTILINE)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "replica")


SETTINGS_COMMANDS = [c.split() for c in COMMANDS if c not in ("demo", "config init")]


@pytest.mark.parametrize("command", SETTINGS_COMMANDS, ids=" ".join)
def test_a_wrong_configuration_lists_every_problem_and_no_secret(command: list[str]) -> None:
    env = {
        "MARIA_PASS": "geheim-1",
        "MARIA_SECONDARY_HOSTS": "db2",
        "MARIA_SECONDARY_PASSWORDS": "geheim-2,geheim-3",
        "MARIA_PRIMARY_PORT": "none",
        "REPLICA_SCHEMAS": "mysql",
    }
    result = run(*command, env=env)
    assert result.exit_code == 10
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [e.split(":")[1].strip() for e in errors] == [
        "MARIA_PRIMARY_PORT", "MARIA_SECONDARY_PASSWORDS", "REPLICA_SCHEMAS",
    ]  # fmt: skip
    assert "geheim" not in result.output


def test_no_file_is_written_from_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REPLICA_EXCLUDE_TABLES='shop.a\n")
    file = tmp_path / "replica.yaml"
    result = run("config", "init", "--env-file", str(tmp_path / ".env"), "--output", str(file))
    assert (result.exit_code, result.stdout, file.exists()) == (10, "", False)
    assert "REPLICA_EXCLUDE_TABLES: the quote" in result.stderr


def test_a_secret_in_the_value_of_another_setting_is_masked(tmp_path: Path) -> None:
    file = tmp_path / "replica.yaml"
    file.write_text("secondaries: [{host: db2}]\nprimary: {name: 'a-${MARIA_PASS}'}\n")
    result = run("config", "show", "--config", str(file), env={"MARIA_PASS": "geheim"})
    assert (result.exit_code, "a-***" in result.stdout, "geheim" in result.output) == (0, True, False)


@pytest.mark.parametrize("command", SETTINGS_COMMANDS, ids=" ".join)
def test_errors_in_json_are_one_line_on_stderr(command: list[str]) -> None:
    result = run(*command, "--json")
    assert (result.exit_code, result.stdout) == (10, "")
    document = json.loads(result.stderr)
    assert set(document) == {"type", "code", "error", "message", "hint", "problems"}
    assert (document["type"], document["code"], document["error"]) == ("error", 10, "configuration")
    assert document["problems"] == ["MARIA_SECONDARY_HOSTS: is not set: name at least one secondary"]


USAGE = [
    ["stream", "-q", "-v"],
    ["stream", "--engine", "magic"],
    ["stream", "--no-such-option"],
    ["transfer", "--resume", "--restart"],
    ["transfer", "--resume", "--table", "shop.orders"],
    ["transfer", "--table", "orders"],
    ["transfer", "--workers", "0"],
    ["transfer", "--restart", "--yes"],
    ["position", "reset", "--to", "binlog"],
    ["position", "reset", "--to", "binlog.000001:4", "--to-current"],
    ["position", "reset", "--yes"],
    ["position", "shrug"],
    ["position", "show", "--count", "3"],
    ["position", "show", "--interval", "2s"],
    ["position", "show", "--watch", "--count", "0"],
    ["position", "show", "--watch", "--interval", "0.4s"],
    ["position", "show", "--watch", "--interval", "soon"],
    ["health", "--max-lag", "soon"],
    ["health", "--secondary", "db9"],
    ["fly"],
]


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_wrong_use_exits_2(args: list[str]) -> None:
    result = run(*args, env={"MARIA_SECONDARY_HOSTS": "db2", "MARIA_SECONDARY_NAMES": "db2"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert "rror: " in result.stderr


@pytest.mark.parametrize("args", USAGE, ids=" ".join)
def test_wrong_use_in_json(args: list[str]) -> None:
    result = run(*args, "--json", env={"MARIA_SECONDARY_HOSTS": "db2", "MARIA_SECONDARY_NAMES": "db2"})
    assert (result.exit_code, result.stdout) == (2, "")
    document = json.loads(result.stderr)
    assert (document["type"], document["code"], document["error"]) == ("error", 2, "usage")


def test_silence_leaves_the_exit_code() -> None:
    result = run("health", "-qq")
    assert (result.exit_code, result.output) == (10, "")


def test_problems_name_their_option_and_the_env_file_must_exist() -> None:
    result = run("drift", "check", "--env-file", "missing.env")
    assert result.exit_code == 10
    assert "--env-file: missing.env is not a file" in result.stderr


def test_the_env_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "other.env").write_text("MARIA_SECONDARY_HOSTS=db2\nMARIA_SERVER_ID=x\n")
    result = run("position", "show", "--env-file", "other.env")
    assert (result.exit_code, result.stderr.count("error: ")) == (10, 1)
    assert "MARIA_SERVER_ID" in result.stderr
