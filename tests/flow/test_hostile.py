"""Names and values that try to become SQL: they stay names and values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from tests.support.command import Replica

NAMES = (
    "`; DROP TABLE `canary",
    "a'b\"c",
    "line\nbreak\r\ttab",
    "*/ DROP TABLE canary; /*",
    "-- x",
    "%s {} ${x} %(y)s",
    "back\\slash",
    "select",
    "漢" * 40,
    "a.b",
)
VALUES = ("'); DROP TABLE canary; --", "\\'; DROP TABLE canary; #", '`*/ \x00\x1a\n\r\t"', "😀" * 64, "%s%d{}")


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@pytest.mark.every_flavour
@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_hostile_names_and_values_stay_what_they_are(replica: Replica, engine: str) -> None:
    replica.settings |= {"REPLICA_ENGINE": engine, "REPLICA_TABLE_FAILURES": "1"}
    replica.on_primary("CREATE TABLE canary (id INT PRIMARY KEY)", "INSERT INTO canary VALUES (1)")
    copied, made_later = NAMES[::2], NAMES[1::2]

    def make(names: tuple[str, ...]) -> None:
        for name in names:
            columns = ", ".join(f"{quoted(n)} TEXT CHARACTER SET utf8mb4" for n in NAMES if n != name)
            replica.on_primary(
                f"CREATE TABLE {quoted(name)} (id INT PRIMARY KEY, {quoted(name)} VARCHAR(200) CHARACTER SET utf8mb4,"
                f" {columns}, UNIQUE KEY {quoted(name)} ({quoted(name)}))"
            )
            with replica.primary.session(database=replica.schema) as session:
                for number, value in enumerate(VALUES):
                    session.execute(
                        f"INSERT INTO {quoted(name).replace('%', '%%')} (id, {quoted(name).replace('%', '%%')})"
                        " VALUES (%s, %s)",
                        number, value,
                    )  # fmt: skip

    make(copied)
    replica.run("transfer")
    stream = replica.stream()
    make(made_later)
    for name in NAMES:
        replica.on_primary(
            f"UPDATE {quoted(name)} SET {quoted(name)} = CONCAT({quoted(name)}, '''`')",
            f"DELETE FROM {quoted(name)} WHERE id = 0",
            f"ALTER TABLE {quoted(name)} ADD {quoted(name[:60] + '2')} INT",
        )
    replica.wait_until_applied(stream)
    replica.assert_equal()
    assert replica.on_secondary("SELECT id FROM canary") == [(1,)]
    # One that fails is quarantined under its name, comes back under its name, and the log has one line for each record.
    name = NAMES[0]
    replica.on_secondary(f"DELETE FROM {quoted(name)}")
    replica.on_primary(f"UPDATE {quoted(name)} SET {quoted(name)} = 'y' WHERE id = 1")
    stream.wait_for_log(r"\[SKIPPED\]")
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.{name}", "--yes")
    replica.wait_until_applied(stream)
    wait_until(lambda: replica.state("SELECT * FROM table_state") == [], "the table to join")
    replica.assert_equal()
    assert all(line.startswith("20") for line in stream.stderr.splitlines() if line)
