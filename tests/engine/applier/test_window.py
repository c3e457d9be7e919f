"""The replay window: rows copied at random moments of a random history, then the log over them. Equal, or wrong.

Many small histories are side by side in one schema, each in tables of its own, and share one stream.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import pytest

from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.position import Position
    from tests.engine.applier.harness import Harness

IDS = range(1, 9)
HISTORIES = 12
# A unique key beside the primary one, NULL allowed; a case-insensitive name; children that cascade and set null.
TABLES = {
    "p": "id INT PRIMARY KEY, code INT NOT NULL UNIQUE, u INT UNIQUE, v INT",
    "c": """id INT PRIMARY KEY, code INT, u INT, v INT, UNIQUE (code, u),
        FOREIGN KEY (code) REFERENCES {p} (code) ON DELETE CASCADE ON UPDATE CASCADE""",
    "g": """id INT PRIMARY KEY, child INT, v INT,
        FOREIGN KEY (child) REFERENCES {c} (id) ON DELETE SET NULL ON UPDATE CASCADE""",
    "n": "name VARCHAR(9) COLLATE utf8mb4_general_ci, sub INT, u INT UNIQUE, v INT, PRIMARY KEY (name, sub)",
    "k": "a INT NOT NULL, b INT NOT NULL, v INT, UNIQUE (a), UNIQUE (b, a)",
}
REFUSED = frozenset({1062, 1451, 1452, 1761, 1762, 1217, 1216})


@dataclass
class History:
    """One set of tables and what happens to them; statements that the primary refuses are part of life."""

    harness: Harness
    number: int
    chance: Random
    may_orphan: bool = True

    def table(self, kind: str) -> str:
        return f"{kind}{self.number}"

    def create(self) -> None:
        names = {kind: self.table(kind) for kind in TABLES}
        self.harness.on_both(*(f"CREATE TABLE {self.table(k)} ({t.format(**names)})" for k, t in TABLES.items()))

    def step(self) -> None:
        """Make one transaction."""
        session = self.harness.source
        session.begin()
        print(self.number, "START TRANSACTION")
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            for statement in self.chance.choice(CHANGES if self.may_orphan else CHANGES[:-1])(self):
                try:
                    found = session.execute(statement)
                    print(self.number, statement, "--", found)
                except ServerError as error:
                    if error.errno not in REFUSED:
                        raise
        end = "ROLLBACK" if self.chance.random() < 0.05 else "COMMIT"
        session.execute(end)
        print(self.number, end)

    def some(self) -> int:
        return self.chance.choice(IDS)


def _insert(h: History) -> list[str]:
    verb = h.chance.choice(("INSERT INTO", "INSERT IGNORE INTO", "REPLACE INTO"))
    u = h.chance.choice(("NULL", h.some(), h.some()))
    rows = {
        "p": f"({h.some()}, {h.some()}, {u}, {h.some()})",
        "c": f"({h.some()}, {h.some()}, {u}, {h.some()}), ({h.some()}, {h.some()}, NULL, {h.some()})",
        "g": f"({h.some()}, {h.some()}, {h.some()}), ({h.some()}, NULL, {h.some()})",
        "n": f"('{h.chance.choice('abAB')}', {h.some()}, {u}, {h.some()})",
        "k": f"({h.some()}, {h.some()}, {h.some()}), ({h.some()}, {h.some()}, {h.some()})",
    }
    kind = h.chance.choice("ppccgnk")
    return [f"{verb} {h.table(kind)} VALUES {rows[kind]}"]


def _update(h: History) -> list[str]:
    kind = h.chance.choice("pcgnk")
    first = {"n": "sub", "k": "b"}.get(kind, "id")
    return [f"UPDATE {h.table(kind)} SET v = v + {h.some()} WHERE {first} >= {h.some()}"]


def _upsert(h: History) -> list[str]:
    return [
        f"INSERT INTO {h.table('p')} VALUES ({h.some()}, {h.some()}, {h.some()}, 0) "  # noqa: ISC004  one statement
        f"ON DUPLICATE KEY UPDATE v = v + 1, u = {h.some()}",
    ]


def _delete(h: History) -> list[str]:
    kind = h.chance.choice("pcgnk")
    first = {"n": "sub", "k": "a"}.get(kind, "id")
    return [f"DELETE FROM {h.table(kind)} WHERE {first} IN ({h.some()}, {h.some()})"]


def _change_key(h: History) -> list[str]:
    return h.chance.choice(
        (
            [f"UPDATE {h.table('p')} SET id = {h.some()} WHERE id = {h.some()}"],
            [f"UPDATE {h.table('p')} SET code = {h.some()} WHERE id = {h.some()}"],
            [f"UPDATE {h.table('p')} SET id = {h.some()}, code = {h.some()}, v = 0 WHERE id = {h.some()}"],
            [f"UPDATE {h.table('c')} SET id = {h.some()}, u = {h.some()} WHERE id = {h.some()}"],
            [f"UPDATE {h.table('c')} SET code = {h.some()} WHERE id = {h.some()}"],
            [
                f"UPDATE {h.table('n')} SET name = UPPER(name)",
                f"UPDATE {h.table('n')} SET name = 'aa' WHERE name = 'a'",
            ],
            [f"UPDATE {h.table('k')} SET a = a + 20 ORDER BY a DESC LIMIT 3"],
            [f"UPDATE {h.table('k')} SET a = {h.some()}, b = {h.some()} WHERE b = {h.some()}"],
        )
    )


def _swap(h: History) -> list[str]:
    table, one, two = h.table("p"), *h.chance.sample(IDS, 2)
    # Through a value that no row has, as applications must.
    return [
        f"SELECT u INTO @one FROM {table} WHERE id = {one}",
        f"SELECT u INTO @two FROM {table} WHERE id = {two}",
        f"UPDATE {table} SET u = NULL WHERE id = {one}",
        f"UPDATE {table} SET u = @one WHERE id = {two}",
        f"UPDATE {table} SET u = @two WHERE id = {one}",
    ]


def _swap_keys(h: History) -> list[str]:
    table, one, two = h.table("n"), *h.chance.sample(IDS, 2)
    return [
        f"UPDATE {table} SET sub = 99 WHERE name = 'a' AND sub = {one}",
        f"UPDATE {table} SET sub = {one} WHERE name = 'a' AND sub = {two}",
        f"UPDATE {table} SET sub = {two} WHERE name = 'a' AND sub = 99",
    ]


def _come_again(h: History) -> list[str]:
    kind, key = h.chance.choice("pc"), h.some()
    return [
        f"DELETE FROM {h.table(kind)} WHERE id = {key}",
        f"INSERT INTO {h.table(kind)} VALUES ({key}, {h.some()}, {h.some()}, 100)",
    ]


def _orphan(h: History) -> list[str]:
    return [
        "SET SESSION foreign_key_checks=0",
        h.chance.choice(
            (
                f"DELETE FROM {h.table('p')} WHERE id = {h.some()}",
                f"UPDATE {h.table('p')} SET code = {h.some()} WHERE id = {h.some()}",
                f"INSERT INTO {h.table('c')} VALUES ({h.some()}, {20 + h.some()}, NULL, 5)",
            )
        ),
        "SET SESSION foreign_key_checks=1",
    ]


CHANGES: tuple[Callable[[History], list[str]], ...] = (
    _insert, _insert, _insert, _update, _upsert, _delete, _change_key, _change_key, _swap, _swap_keys, _come_again,
    _orphan,
)  # fmt: skip


FAMILY = "pcg"


def _copy_family(h: History) -> None:
    # Where cascades are not logged, tables that they change are read in one snapshot and have no window.
    here = h.harness.here()
    for kind in FAMILY:
        h.harness.copy(h.table(kind))
        h.harness.save_window(h.table(kind), here, here)
    print(h.number, "copied", FAMILY)


def _live(h: History, tables: str, steps: int) -> None:
    family_moment = h.chance.randrange(steps + 1) if FAMILY[0] not in tables else None
    moments: dict[int, list[tuple[str, str]]] = {}
    for kind in tables:
        first = {"n": "sub", "k": "a"}.get(kind, "id")
        cut = h.some()
        for where in (f"{first} < {cut}", f"{first} >= {cut}"):
            moments.setdefault(h.chance.randrange(steps + 1), []).append((kind, where))
    for moment in range(steps + 1):
        if moment == family_moment:
            _copy_family(h)
        for kind, where in moments.get(moment, ()):
            h.harness.copy(h.table(kind), where)
            print(h.number, "copied", h.table(kind), where)
        if moment < steps:
            h.step()


def _live_through(histories: list[History], tables: str, steps: int) -> Position:
    """Make the histories, copying each table in two parts at moments of their own; return the windows' end."""
    harness = histories[0].harness
    start = harness.begin_here()
    if harness.source.is_mariadb:
        tables = "".join(kind for kind in tables if kind not in FAMILY)
    for h in histories:
        _live(h, tables, steps)
    end = harness.here()
    for h in histories:
        for kind in tables:
            harness.save_window(h.table(kind), start, end)
    return end


@pytest.mark.parametrize("may_orphan", [False, True], ids=["checked", "orphans"])
def test_every_history_converges(harness: Harness, may_orphan: bool) -> None:  # noqa: FBT001
    # A seed of its own for each run; the one that is printed brings a failure back.
    seed = os.environ.get("REPLICA_TEST_SEED") or os.urandom(4).hex()  # noqa: TID251  a setting of the tests
    print(f"REPLICA_TEST_SEED={seed}")
    chance = Random(seed)
    histories = [History(harness, n, Random(f"{seed} {n}"), may_orphan) for n in range(HISTORIES)]
    for h in histories:
        h.create()
        for _ in range(8):
            h.step()
    end = _live_through(histories, "pcgnk", 16)
    # What follows is strict: a single row that is not as it must be stops the stream.
    for _ in range(HISTORIES * 6):
        chance.choice(histories).step()
    harness.stream()
    harness.assert_equal()
    assert harness.saved().position.order > end.order
    assert not harness.tables.load(), "a window is still open"
