"""Tables that the secondary's release cannot make: their copy is refused, and no existing row is lost."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.servers import ServerFactory

REFUSED = ("CHECK (json_schema_valid('{}', doc))", "COLUMN c VARCHAR(50) DEFAULT (format_pico_time(1))")


@pytest.fixture
def older(server_factory: ServerFactory, tmp_path: Path) -> Iterator[Replica]:
    """Give the command for a secondary whose release lacks functions of the primary's."""
    primary, secondary = server_factory("mariadb", "11.8"), server_factory("mariadb", "10.11")
    made = Replica(primary, {"db1": secondary}, "shop", "replica_state", tmp_path)
    yield made
    made.close()


def _prepare(replica: Replica) -> None:
    for name in ("a", "b", "good"):
        replica.on_primary(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, doc LONGTEXT)", f"INSERT INTO {name} VALUES (1, '{{}}')"
        )
    replica.run("transfer")


def _rows(replica: Replica) -> list[tuple[str, int]]:
    tables = [str(row[0]) for row in replica.on_secondary("SHOW TABLES")]
    return [(name, len(replica.on_secondary(f"SELECT * FROM {name}"))) for name in tables]


def test_a_definition_that_the_secondary_refuses_costs_no_table_and_no_stream(older: Replica) -> None:
    replica = older
    _prepare(replica)
    # Right after the copy: nothing was streamed yet.
    for name, change in zip(("a", "b"), REFUSED, strict=True):
        replica.on_primary(f"ALTER TABLE {name} ADD {change}")
    replica.on_primary("INSERT INTO good VALUES (2, '{}')")
    ended = replica.catch_up(code=3)
    rows = [("a", 1), ("b", 1), ("good", 2)]
    assert _rows(replica) == rows
    advice = "after you correct that, `replica transfer --table shop.a --secondary db1` copies it again"
    assert advice in ended.stderr
    assert "hint: after you correct that, `replica transfer" in ended.stderr
    for _ in range(2):
        states = replica.state("SELECT table_name, state, stopped_at_file != '', reason FROM table_state ORDER BY 1")
        assert [row[:3] for row in states] == [("a", "quarantined", 1), ("b", "quarantined", 1)]
        for *_, reason in states:
            before, _, refusal = reason.partition("; the copy is refused too: db1: Function or expression ")
            assert "alter table" in before.lower(), states
            assert refusal.count("(error 1901)") == 1, states
        check = next(
            c for c in replica.run("health", "--json", code=2).document["checks"] if c["name"] == "quarantined-tables"
        )
        assert check["hint"].startswith("after you correct that, `replica transfer --table shop.a --table ")
        # What is typed all the same is refused, and changes nothing.
        typed = replica.run("transfer", "--table", "shop.a", "--secondary", "db1", "--yes", code=14)
        assert "(error 1901)" in typed.stderr
        assert _rows(replica) == rows
    replica.on_primary("ALTER TABLE a DROP CONSTRAINT CONSTRAINT_1", "ALTER TABLE b DROP COLUMN c")
    replica.run("transfer", "--table", "shop.a", "--table", "shop.b", "--secondary", "db1", "--yes")
    replica.catch_up()
    replica.assert_nothing_is_noted()
    replica.assert_equal()


def test_a_copy_requested_from_a_stream_is_refused_without_quarantining_a_live_table(older: Replica) -> None:
    replica = older
    _prepare(replica)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    # The stream never sees this definition: it is not in the log.
    with replica.primary.session("shop") as session:
        session.execute("SET SESSION sql_log_bin = 0")
        session.execute(f"ALTER TABLE a ADD {REFUSED[0]}")
    asked = replica.run("transfer", "--table", "shop.a", "--secondary", "db1", "--yes", code=14)
    assert "(error 1901)" in asked.stderr
    replica.on_primary("INSERT INTO a VALUES (2, '{}')")
    replica.wait_until_applied(stream)
    assert ("a", 2) in _rows(replica)
    replica.assert_nothing_is_noted()


def test_a_copy_that_fails_in_a_stream_ends_it_if_the_settings_say_so(older: Replica) -> None:
    replica = older
    replica.settings |= {"REPLICA_ON_TABLE_FAILURE": "stop"}
    _prepare(replica)
    # The first copy of a table waits for the others, the next one is made while the stream runs.
    for name, undo in (("a", "DROP CONSTRAINT CONSTRAINT_1"), ("b", "DROP CONSTRAINT CONSTRAINT_1")):
        replica.on_primary(f"ALTER TABLE {name} ADD {REFUSED[0]}")
        ended = replica.run("stream", "--until-caught-up", code=14)
        assert f"shop.{name}: db1: Function or expression" in ended.stderr
        assert "(error 1901)" in ended.stderr
        (state,) = replica.state("SELECT table_name, state FROM table_state WHERE reason != ''")
        assert state == (name, "pending")
        assert (name, 1) in _rows(replica)
        replica.on_primary(f"ALTER TABLE {name} {undo}", "INSERT INTO good SELECT MAX(id) + 1, '' FROM good")
        replica.catch_up()
        replica.assert_nothing_is_noted()
        replica.assert_equal()


@pytest.mark.parametrize(
    ("definition", "value"), [(f"LONGTEXT, {REFUSED[0]}", "'{}'"), ("VECTOR(3)", "VEC_FromText('[1,2,3]')")],
    ids=["refused by the server", "refused by the plan"],
)  # fmt: skip
def test_new_tables_one_after_the_other_that_the_secondary_refuses_are_each_tried_once(
    older: Replica, definition: str, value: str
) -> None:
    replica = older
    _prepare(replica)
    stream = replica.stream()
    replica.wait_until_applied(stream)
    names = ("one", "two", "three")
    replica.on_primary(*(f"CREATE TABLE {name} (id INT PRIMARY KEY, doc {definition})" for name in names))
    replica.on_primary(*(f"INSERT INTO {name} VALUES (1, {value})" for name in names))
    replica.on_primary("INSERT INTO good VALUES (2, '{}')")
    replica.wait_until_applied(stream)
    ended = stream.end(signal.SIGTERM)
    assert ended.code == 0
    for name in names:
        assert ended.stderr.count(f"shop.{name} is quarantined: ") == 1
    states = dict(replica.state("SELECT table_name, state FROM table_state"))
    assert states == dict.fromkeys(names, "quarantined")
    assert ("good", 2) in _rows(replica)
    replica.catch_up(code=3)
