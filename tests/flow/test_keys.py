"""Keys of every kind, changed and swapped while their tables are copied and while they are streamed."""

from __future__ import annotations

import itertools
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

ROWS = 3000
_numbers = itertools.count(2 * ROWS)
TABLES = (
    "CREATE TABLE composite (a INT, b VARCHAR(10), c SMALLINT UNSIGNED, v INT, PRIMARY KEY (c, a, b))",
    """CREATE TABLE folded (k VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)""",
    "CREATE TABLE bytes (k BINARY(16) PRIMARY KEY, v INT)",
    "CREATE TABLE bare (a INT, b VARCHAR(10), d DOUBLE)",
    "CREATE TABLE loose (a INT NULL, v INT, UNIQUE KEY a (a))",
    "CREATE TABLE swapped (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL, seat INT NULL, UNIQUE (name), UNIQUE (seat))",
    "CREATE TABLE moment (at_ TIMESTAMP(6) NOT NULL, d DECIMAL(20,10), v INT, PRIMARY KEY (at_, d))",
)
DIGIT = "(SELECT 0 AS d{0} " + " ".join(f"UNION ALL SELECT {n}" for n in range(1, 10)) + ") AS t{0}"
DIGITS = " CROSS JOIN ".join(DIGIT.format(place) for place in range(4))
NUMBERS = f"(SELECT d0 + 10 * d1 + 100 * d2 + 1000 * d3 AS n FROM {DIGITS}) AS numbers WHERE n < {ROWS}"
FILL = (
    f"INSERT INTO composite SELECT n, CONCAT('b', n MOD 7), n MOD 13, 0 FROM {NUMBERS}",
    f"INSERT INTO folded SELECT CONCAT(IF(n MOD 2, 'Key-', 'kEY-'), LEFT(SHA2(n, 256), 20)), 0 FROM {NUMBERS}",
    f"INSERT INTO bytes SELECT UNHEX(RPAD(LEFT(SHA2(n, 256), 8 + n MOD 12 * 2), 32, '0')), 0 FROM {NUMBERS}",
    f"INSERT INTO bare SELECT n MOD 50, CONCAT('b', n MOD 3), n MOD 50 / 3 FROM {NUMBERS}",
    f"INSERT INTO loose SELECT IF(n MOD 3, n, NULL), 0 FROM {NUMBERS}",
    f"INSERT INTO swapped SELECT n, CONCAT('name ', n), IF(n MOD 5, n, NULL) FROM {NUMBERS}",
    f"INSERT INTO moment SELECT DATE_ADD('2024-01-01', INTERVAL n * 333333 MICROSECOND), n / 7, 0 FROM {NUMBERS}",
)


def change(session: Session, chance: random.Random) -> None:
    """Change some rows of one table, or swap unique values within it."""
    n, m = chance.sample(range(ROWS), 2)
    work = chance.choice((composite, folded, some_bytes, bare, loose, swap, swap, moment))
    work(session, n, m)


def composite(session: Session, n: int, m: int) -> None:
    session.execute(f"UPDATE IGNORE composite SET c = {m % 13}, b = CONCAT('b', {m % 9}), v = v + 1 WHERE a = {n}")
    session.execute(f"DELETE FROM composite WHERE a = {m}")
    session.execute(f"INSERT IGNORE INTO composite VALUES ({n}, 'B1 ', {n % 13}, 5)")


def folded(session: Session, n: int, m: int) -> None:
    # The same key in another case is the same row, and another value.
    session.execute(f"UPDATE folded SET k = UPPER(k), v = v + 1 WHERE k LIKE 'key-{n % 256:02x}%' LIMIT 2")
    session.execute(f"UPDATE IGNORE folded SET k = 'KEY-é{m}' WHERE k LIKE 'key-{m % 256:02x}%' LIMIT 1")
    session.execute(f"DELETE FROM folded WHERE k LIKE 'KEY-E{n}'")
    session.execute(f"REPLACE INTO folded VALUES ('key-E{m}', {n})")


def some_bytes(session: Session, n: int, m: int) -> None:
    session.execute(
        f"UPDATE IGNORE bytes SET k = UNHEX(LPAD(HEX({n}), 32, '0')), v = v + 1 WHERE k > UNHEX(SHA2({m}, 224)) LIMIT 1"
    )
    session.execute(f"REPLACE INTO bytes VALUES (UNHEX(RPAD(HEX({m}), 32, '0')), 1)")
    session.execute(f"DELETE FROM bytes WHERE k < UNHEX(SHA2({n}, 224)) ORDER BY k DESC LIMIT 1")


def bare(session: Session, n: int, m: int) -> None:
    session.execute(f"INSERT INTO bare VALUES ({n}, NULL, 0.1), ({n}, NULL, 0.1), ({n % 50}, 'b1', 1e-300)")
    session.execute(f"DELETE FROM bare WHERE a = {m % 50} LIMIT 1")
    session.execute(f"UPDATE bare SET d = d + 0.1 WHERE a = {n % 50} LIMIT 2")


def loose(session: Session, n: int, m: int) -> None:
    session.execute(f"UPDATE IGNORE loose SET a = NULL, v = v + 1 WHERE a = {n}")
    session.execute(f"UPDATE IGNORE loose SET a = {m} WHERE a IS NULL LIMIT 1")
    session.execute(f"INSERT INTO loose VALUES (NULL, {n}), (NULL, {n})")


def swap(session: Session, n: int, m: int) -> None:
    found = session.rows(f"SELECT id, name, seat FROM swapped WHERE id IN ({n}, {m})")
    if len(found) < 2:
        session.execute(f"INSERT IGNORE INTO swapped VALUES ({n}, 'name {n}', NULL), ({m}, 'name {m}', NULL)")
        return
    (one, name, seat), (other, other_name, other_seat) = found
    session.execute(f"UPDATE swapped SET name = 'aside', seat = NULL WHERE id = {one}")
    session.execute("UPDATE swapped SET name = %s, seat = %s WHERE id = %s", name, seat, other)
    session.execute("UPDATE swapped SET name = %s, seat = %s WHERE id = %s", other_name, other_seat, one)
    if n % 3 == 0:
        # The rows change places as well: keys and unique values at once.
        session.execute(f"UPDATE swapped SET id = -1 WHERE id = {one}")
        session.execute(f"UPDATE swapped SET id = {one} WHERE id = {other}")
        session.execute(f"UPDATE swapped SET id = {other} WHERE id = -1")
    elif n % 3 == 1:
        session.execute(f"DELETE FROM swapped WHERE id = {one}")
        session.execute("INSERT INTO swapped VALUES (%s, %s, %s)", next(_numbers), other_name, other_seat)


def moment(session: Session, n: int, m: int) -> None:
    session.execute(f"UPDATE IGNORE moment SET at_ = NOW(6), d = -d WHERE d BETWEEN {n} / 7 AND {n + 2} / 7")
    session.execute(f"DELETE FROM moment WHERE d = {m} / 7")


@pytest.fixture
def changes(replica: Replica, request: pytest.FixtureRequest) -> Iterator[Load]:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "50", "REPLICA_TRANSFER_WORKERS": "1"}
    replica.on_primary(*TABLES, *FILL)
    chance = random.Random(request.param)

    def transaction(session: Session) -> None:
        session.begin()
        for _ in range(chance.randint(1, 4)):
            change(session, chance)
        session.execute("ROLLBACK" if chance.random() < 0.05 else "COMMIT")

    made = Load(replica.primary, replica.schema, transaction)
    yield made
    made.stop()


@pytest.mark.parametrize(("changes", "engine"), [(1, "auto"), (2, "sql")], indirect=["changes"])
def test_keys_changed_during_copy_and_stream_are_equal(replica: Replica, changes: Load, engine: str) -> None:
    replica.settings |= {"REPLICA_ENGINE": engine}
    stream = replica.stream()
    copied = changes.rounds
    replica.wait_until_applied(stream)
    assert copied > 20
    changes.stop()
    assert changes.rounds > copied
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()
