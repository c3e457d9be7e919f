"""What hints advise works as it is typed, has the options that were given, and destroys nothing that is well."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from tests.support.command import COMMAND
from tests.support.table_records import put

if TYPE_CHECKING:
    from tests.support.command import Replica

OPTIONS = "--secondary db1 --env-file 'my settings/replica.env'"


@dataclass
class Said:
    """How a command of the shell ended, and the commands that its output advises."""

    code: int
    text: str

    @property
    def commands(self) -> list[str]:
        return list(dict.fromkeys(re.findall(r"`(replica (?:[^`\\']|'[^']*')*)`", self.text)))


class Shell:
    """Types commands as a person does: all settings come from a file, and the options from what was advised."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.file = replica.folder / "my settings" / "replica.env"
        self.file.parent.mkdir(exist_ok=True)
        self.write()

    def write(self, **settings: str) -> None:
        names = ("MARIA_", "REPLICA_")
        lines = {n: v for n, v in self.replica.environment().items() if n.startswith(names)} | settings
        self.file.write_text("".join(f"{n}='{v}'\n" for n, v in lines.items()))
        self.file.chmod(0o600)

    def type(self, command: str, code: int = 0) -> Said:
        path = f"{Path(COMMAND).parent}:/usr/bin:/bin"
        done = subprocess.run(
            ["bash", "-c", command], check=False, capture_output=True, text=True, cwd=self.replica.folder,
            env={"PATH": path}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        text = done.stdout + done.stderr
        assert done.returncode == code, f"{command}: {done.returncode}\n{text}"
        return Said(done.returncode, text)

    def ask(self, words: str, code: int = 0) -> Said:
        return self.type(f"replica {words} {OPTIONS}", code)


@pytest.fixture
def shell(replica: Replica) -> Shell:
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE `it's` (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)",
        "INSERT INTO `it's` VALUES (1)",
    )  # fmt: skip
    return Shell(replica)


def test_a_transfer_that_has_nothing_to_do_does_nothing_and_advises_the_stream(shell: Shell) -> None:
    (command,) = shell.ask("stream --no-transfer", 11).commands
    assert command == f"replica transfer {OPTIONS}"
    shell.type(command)
    running = shell.replica.stream()
    place = shell.replica.saved()
    for words in ("transfer", "transfer --resume", "transfer --all"):
        said = shell.ask(words)
        assert said.commands == [f"replica stream {OPTIONS}"]
        assert "--restart" not in said.text
    assert shell.replica.saved() == place
    running.end(signal.SIGTERM)
    shell.replica.assert_equal()


def test_tables_that_are_missing_are_named_and_the_command_copies_them_alone(shell: Shell) -> None:
    replica = shell.replica
    shell.ask("transfer")
    replica.on_secondary("DROP TABLE `it's`")
    said = shell.ask("transfer", 14)
    assert f"{replica.schema}.t," not in said.text
    (command,) = said.commands
    shell.type(f"{command} --yes")
    replica.catch_up()
    replica.assert_equal()


def test_what_a_reset_promises_comes_true(shell: Shell) -> None:
    replica = shell.replica
    shell.ask("transfer")
    warned = shell.ask("position reset --yes")
    assert "refuses from now on (exit code 14)" in warned.text
    refused = shell.ask("stream --until-caught-up", 14)
    assert "no position is saved, and these tables hold rows" in refused.text
    assert "a former name of this secondary" not in refused.text
    assert f"replica transfer --restart --dry-run {OPTIONS}" in refused.commands
    for command in refused.commands:
        if "--dry-run" in command:
            shell.type(command)
    assert replica.on_secondary("SELECT id FROM t") == [(1,)]
    (command,) = (c for c in warned.commands if "--restart" in c)
    shell.type(f"{command} --yes")
    shell.ask("stream --until-caught-up")
    replica.assert_equal()
    # Without rows the next stream copies, as it is said then.
    replica.on_primary("DELETE FROM t", "DELETE FROM `it's`")
    shell.ask("stream --until-caught-up")
    warned = shell.ask("position reset --yes")
    assert "refuses" not in warned.text
    (command,) = warned.commands
    replica.on_primary("INSERT INTO t VALUES (5)")
    shell.type(f"{command} --until-caught-up")
    replica.assert_equal()


def test_changed_filters_and_an_unfinished_copy_are_mended_as_advised(shell: Shell) -> None:
    replica = shell.replica
    shell.write(REPLICA_EXCLUDE_TABLES=f"{replica.schema}.it*")
    shell.ask("transfer")
    shell.write()
    said = shell.ask("stream --until-caught-up", 10)
    accept, copy = said.commands
    shell.type(f"{accept} --yes")
    shell.type(f"{copy.replace('SCHEMA.TABLE', replica.schema + '.t')} --yes")
    (command,) = shell.ask("transfer", 14).commands
    shell.type(f"{command} --yes")
    with replica.secondaries["db1"].session() as session:
        record = TableRecord(TableName(replica.schema, "t"), TableState.PENDING)
        put(TableLifecycle(session, replica.state_schema, "db1"), record)
    (command,) = shell.ask("transfer", 11).commands
    assert command == f"replica transfer --resume {OPTIONS}"
    shell.type(command)
    shell.ask("stream --until-caught-up")
    replica.assert_equal()
