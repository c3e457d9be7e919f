"""A state schema that a user dropped, emptied or altered, between commands and while one runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replica_cli.config.loading import load_settings
from replica_cli.core.errors import ExitCode
from replica_cli.core.reporter import SilentReporter
from replica_cli.core.requests.transfer import TransferRequest
from replica_cli.service.transfer import plan_transfer, run_transfer
from replica_cli.transfer.planning import plan

if TYPE_CHECKING:
    from tests.support.command import Ended, Replica

# Statements in the state schema, and what the error names.
BROKEN = {
    "an older layout": ("ALTER TABLE binlog_position DROP COLUMN token", "has no column token"),
    "a narrower column": ("ALTER TABLE table_state MODIFY reason VARCHAR(100) NULL", "column reason is varchar"),
    "a newer layout": ("ALTER TABLE table_state ADD COLUMN shard INT NOT NULL", "column shard has no default"),
    "another engine": ("ALTER TABLE binlog_position ENGINE = MyISAM", "its engine is MyISAM"),
    "no key": ("ALTER TABLE stream_status DROP PRIMARY KEY", "its primary key is ()"),
    "a dropped table": ("DROP TABLE table_state", "no table table_state"),
    "a GTID set": ("UPDATE binlog_position SET gtid = 'nonsense'", "'nonsense' is not a GTID set"),
    "a table's state": ("UPDATE table_state SET state = 'asleep'", "record of {schema}.t that cannot be read"),
}


@pytest.fixture
def copied(replica: Replica) -> Replica:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    return replica


def check_is_named(ended: Ended, what: str) -> None:
    """Fail unless the error names what is broken, says what to type, and calls it neither a bug nor another process."""
    error = ended.error
    assert (error["code"], error["error"]) == (13, "state_broken"), error
    assert what in error["message"]
    assert "`replica transfer --" in error["hint"]


def test_what_is_broken_is_named_by_every_command_and_mended_as_the_hint_says(copied: Replica) -> None:
    with copied.secondaries["db1"].session() as session:
        for number, (statement, what) in enumerate(BROKEN.values()):
            # A copy of the state as the transfer left it, to break.
            session.execute(f"CREATE DATABASE {copied.schema}_state{number}")
            for (table,) in session.rows(f"SHOW TABLES FROM {copied.state_schema}"):
                to = f"{copied.schema}_state{number}.{table}"
                session.execute(f"CREATE TABLE {to} LIKE {copied.state_schema}.{table}")
                session.execute(f"INSERT INTO {to} SELECT * FROM {copied.state_schema}.{table}")
            session.execute(f"USE {copied.schema}_state{number}")
            session.execute(statement)
            copied.settings["REPLICA_STATE_SCHEMA"] = f"{copied.schema}_state{number}"
            named = what.format(schema=copied.schema)
            for command in (("stream", "--until-caught-up"), ("position", "show")):
                check_is_named(copied.run(*command, "--json", code=13), named)
    health = copied.run("health", "--json", code=3).document
    (state,) = (c for c in health["checks"] if c["name"] == "state")
    assert "`replica transfer --table" in state["hint"]
    # The last one as its hint says: the statement, then the copy of that table.
    copied.state_schema = copied.settings["REPLICA_STATE_SCHEMA"]
    copied.on_secondary(state["hint"].partition(";")[0], schema=copied.state_schema)
    copied.run("transfer", "--table", f"{copied.schema}.t", "--secondary", "db1", "--yes")
    copied.catch_up()
    copied.assert_equal()


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("UPDATE binlog_position SET gtid = 'nonsense'", "binlog_position WHERE instance = 'old/db1'"),
        ("ALTER TABLE binlog_position ENGINE = MyISAM", "binlog_position_old"),
    ],
)
def test_a_state_that_is_set_aside_as_the_hint_says_is_kept_and_all_is_copied_again(
    copied: Replica, statement: str, kept: str
) -> None:
    before = copied.saved()
    copied.on_secondary(statement, schema=copied.state_schema)
    hint = copied.run("position", "show", "--json", code=13).error["hint"]
    start = min(hint.find(word) for word in ("RENAME", "UPDATE") if word in hint)
    copied.on_secondary(hint[start:].partition(";")[0], schema=copied.state_schema)
    # Nothing streams on without the position.
    copied.run("stream", "--until-caught-up", code=14)
    copied.run("transfer", "--restart", "--secondary", "db1", "--yes")
    copied.catch_up()
    copied.assert_equal()
    assert copied.state(f"SELECT file, pos FROM {kept}") == [before]


@pytest.mark.parametrize(
    "statement", ["DROP DATABASE {state}", "DROP TABLE {state}.table_state", "DELETE FROM {state}.binlog_position"]
)
def test_a_state_that_goes_under_a_running_stream_is_no_other_process(copied: Replica, statement: str) -> None:
    running = copied.stream()
    copied.wait_until_applied(running)
    copied.on_secondary(statement.format(state=copied.state_schema))
    copied.on_primary("INSERT INTO t VALUES (2)")
    ended = running.end(patience_seconds=30)
    assert ended.code == 13
    said = ended.stderr[ended.stderr.rindex("error: ") :]
    assert "somebody dropped or emptied it" in said or "no table table_state" in said
    assert "`replica transfer --restart" in said
    assert "took over" not in ended.stderr
    if "table_state" not in statement:  # else the position is there, and the row commits with it
        assert copied.on_secondary("SELECT id FROM t") == [(1,)]
    if "table_state" not in statement:
        # The position of the last commit is known, and no table was quarantined.
        (command,) = re.findall(r"`replica (position reset --to [^`]*)`", said)
        copied.run(*command.split(), "--yes")
        copied.catch_up()
        copied.assert_equal()


def test_a_state_that_goes_under_a_paused_stream_ends_it(copied: Replica) -> None:
    running = copied.stream()
    copied.run("pause")
    copied.on_secondary(f"DROP DATABASE {copied.state_schema}")
    ended = running.end(patience_seconds=30)
    assert ended.code == 13
    assert "somebody dropped or emptied it" in ended.stderr


@pytest.mark.parametrize("command", ["transfer", "stream"])
def test_a_state_that_goes_under_a_running_copy_is_named(replica: Replica, command: str) -> None:
    digits = " CROSS JOIN ".join(f"(SELECT 0 n {'UNION SELECT {} ' * 9}) d{i}".format(*range(1, 10)) for i in range(5))
    replica.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, pad CHAR(200))",
        f"INSERT INTO t (pad) SELECT REPEAT('x', 200) FROM {digits}",
    )
    replica.settings |= {"REPLICA_TRANSFER_WORKERS": "1", "TRANSFER_BATCH_SIZE": "100"}
    running = replica.start(command, "--json")
    replica.wait_until_copied("t")
    replica.on_secondary(f"DROP DATABASE {replica.state_schema}")
    check_is_named(running.end(), "somebody dropped or emptied it")


def test_an_error_that_ends_a_first_copy_before_its_position_is_saved_is_reported_unchanged(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    refused = f"CREATE DATABASE {replica.schema} COLLATE a_collation_of_a_later_release"
    monkeypatch.setattr(plan, "_schema_statements", lambda *_, **__: (refused,))
    settings = load_settings(None, replica.environment(), replica.folder / "no.env")
    for _ in range(2):  # the state schema is there the second time, and has no position row
        plans = plan_transfer(settings, TransferRequest(settings.secondaries))
        (copy,) = run_transfer(settings, plans, SilentReporter()).copies
        assert copy.failure is not None
        assert (copy.failure.code, copy.failure.exit_code) == ("server_error", ExitCode.SECONDARY), copy.failure
        assert "a_collation_of_a_later_release" in copy.failure.message


def test_a_state_that_is_set_aside_names_the_other_instances_in_it(copied: Replica) -> None:
    columns = (
        "file, pos, gtid, source_identity, source_time, row_count, transaction_count, skipped_count, filters, "
        "filters_text, token, updated_at"
    )
    other = f"INSERT INTO binlog_position (instance, {columns}) SELECT 'db9', {columns} FROM binlog_position"
    for statement in (other, "ALTER TABLE table_state DROP COLUMN reason"):
        copied.on_secondary(statement, schema=copied.state_schema)
    hint = copied.run("position", "show", "--json", code=13).error["hint"]
    assert "keeps the state of all its instances (db1, db9) under other names" in hint
    assert "copies every table again, for each of them" in hint
