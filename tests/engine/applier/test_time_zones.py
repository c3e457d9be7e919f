"""Statements that depend on a time zone: the primary's own, a named one, and those that the secondary does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import TableChangedInWindow
from tests.engine.applier.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_release

# As POSIX writes them: the servers need no files of zones.
TOKYO, SUMMER_TIME = "JST-9", "CET-1CEST,M3.5.0,M10.5.0/3"
TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY, moment TIMESTAMP NULL, local DATETIME NULL, day DATE)",
    """INSERT INTO t VALUES (1, '2024-07-01 12:00', '2024-07-01 12:00', '2024-07-01'),
       (2, '1990-01-01 00:30', '1990-01-01 00:30', '1990-01-01')""",
)
CONVERSIONS = (
    "ALTER TABLE t ADD made TIMESTAMP NOT NULL DEFAULT '2024-03-03 03:00'",
    "ALTER TABLE t MODIFY moment DATETIME NULL, MODIFY local TIMESTAMP NULL",
    "ALTER TABLE t MODIFY day TIMESTAMP NULL",
    "ALTER TABLE t ADD entered DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP",
    """CREATE TABLE parts (v TIMESTAMP NOT NULL) PARTITION BY RANGE (UNIX_TIMESTAMP(v))
       (PARTITION old VALUES LESS THAN (UNIX_TIMESTAMP('2024-01-01')), PARTITION new VALUES LESS THAN MAXVALUE)""",
    """ALTER TABLE parts REORGANIZE PARTITION new INTO
       (PARTITION mid VALUES LESS THAN (UNIX_TIMESTAMP('2025-01-01')), PARTITION new VALUES LESS THAN MAXVALUE)""",
    "INSERT INTO parts VALUES ('2023-12-31 23:00'), ('2024-01-01 00:00'), ('2026-01-01')",
)


class Zoned:
    """Makes harnesses whose servers have zones of their own."""

    def __init__(self, factory: ServerFactory, binary: ServerBinary, patch: pytest.MonkeyPatch) -> None:
        self._factory, self._binary, self._patch = factory, binary, patch
        self._harnesses: list[Harness] = []

    def server(self, zone: str) -> SandboxServer:
        self._patch.setenv("TZ", zone)
        return self._factory(self._binary.flavour, str(self._binary).partition(":")[2], default_time_zone="SYSTEM")

    def harness(self, primary: SandboxServer, secondary: SandboxServer) -> Harness:
        harness = Harness(primary, secondary, f"zoned_{len(self._harnesses)}")
        harness.on_both("SET SESSION time_zone = '+00:00'")
        self._harnesses.append(harness)
        return harness

    def close(self) -> None:
        for harness in self._harnesses:
            harness.close()


@pytest.fixture
def zoned(
    server_factory: ServerFactory, server_binary: ServerBinary, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Zoned]:
    made = Zoned(server_factory, server_binary, monkeypatch)
    yield made
    made.close()


def change(harness: Harness, statements: tuple[str, ...], zone: str = "SYSTEM") -> None:
    with harness.primary.session(harness.schema) as session:
        session.execute(f"SET SESSION time_zone = '{zone}', sql_mode = DEFAULT")
        for statement in statements:
            session.execute(statement)


def make_zone(server: SandboxServer, name: str, winter: int, summer: int, since: int) -> None:
    """Put a zone into the server's tables: an offset in seconds, and another one from a moment on."""
    with server.session(database="mysql") as session:
        session.execute("SET SESSION sql_log_bin = 0")
        session.execute("INSERT INTO time_zone (use_leap_seconds) VALUES ('N')")
        ((number,),) = session.rows("SELECT MAX(time_zone_id) FROM time_zone")
        session.execute("INSERT INTO time_zone_name VALUES (%s, %s)", name, number)
        for kind, offset in enumerate((winter, summer)):
            sql = "INSERT INTO time_zone_transition_type VALUES (%s, %s, %s, %s, %s)"
            session.execute(sql, number, kind, offset, kind, f"Z{kind}")
        if winter != summer:
            session.execute("INSERT INTO time_zone_transition VALUES (%s, 0, 0), (%s, %s, 1)", number, number, since)


def test_system_is_the_primarys_own_zone(zoned: Zoned, secondary: SandboxServer) -> None:
    harness = zoned.harness(zoned.server(TOKYO), secondary)
    harness.begin_here()
    change(harness, (*TABLE, *CONVERSIONS))
    harness.stream()
    harness.assert_equal()
    assert harness.rows("SELECT moment FROM t WHERE id = 1") == [("2024-07-01 12:00:00",)]


def test_a_zone_with_summer_time(zoned: Zoned, secondary: SandboxServer) -> None:
    primary = zoned.server(SUMMER_TIME)
    # Alike on both sides, it is what it says.
    harness = zoned.harness(primary, zoned.server(SUMMER_TIME))
    harness.begin_here()
    change(harness, (*TABLE, *CONVERSIONS))
    harness.stream()
    harness.assert_equal()
    # Elsewhere no statement says it: the table is copied, from behind the statement.
    harness = zoned.harness(primary, secondary)
    harness.begin_here()
    change(harness, TABLE)
    harness.stream()
    change(harness, CONVERSIONS[1:2])
    with pytest.raises(TableChangedInWindow, match=r"t: alter table in the time zone SYSTEM") as met:
        harness.stream()
    assert met.value.tables == (harness.name("t"),)
    harness.on_secondary("DROP TABLE t")
    harness.begin_here()
    # What does not depend on it goes on.
    change(
        harness, ("DROP TABLE t", "CREATE TABLE u (id INT, v TIMESTAMP NULL)", "INSERT INTO u VALUES (1, '2024-07-01')")
    )
    harness.stream()
    harness.assert_equal()


ZONES = {
    # Name; the primary's rules, and the secondary's: offsets in winter and in summer, and since when.
    "one offset, known to the primary alone": ("Test/Nine", (32400, 32400, 0), None, True),
    "two offsets, known to the primary alone": ("Test/Alone", (3600, 7200, 1711846800), None, False),
    "two offsets, known to both": ("Test/Both", (3600, 7200, 1711846800), (3600, 7200, 1711846800), True),
    "two offsets, of other years": ("Test/Years", (3600, 7200, 1711846800), (3600, 7200, 1712451600), False),
}  # fmt: skip


def test_a_named_zone(zoned: Zoned) -> None:
    primary, secondary = zoned.server("UTC"), zoned.server("UTC")
    for zone, ours, theirs, is_known in ZONES.values():
        make_zone(primary, zone, *ours)
        if theirs is not None:
            make_zone(secondary, zone, *theirs)
        harness = zoned.harness(primary, secondary)
        harness.begin_here()
        change(harness, TABLE)
        harness.stream()
        change(harness, CONVERSIONS[1:2], zone)
        if is_known:
            harness.stream()
            harness.assert_equal()
            continue
        with pytest.raises(TableChangedInWindow, match=f"time zone {zone}"):
            harness.stream()
