"""Foreign keys that cascade, changed heavily while their tables are copied and afterwards.

Children that a cascade changes are not in the log (MariaDB, and MySQL before 9.6): the secondary must do the same.
"""

from __future__ import annotations

import itertools
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

PARENTS = 400
_numbers = itertools.count(1)
TABLES = (
    "CREATE TABLE parent (id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, n INT NOT NULL)",
    """CREATE TABLE child (id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT NOT NULL, n INT NOT NULL,
        FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)""",
    # Before its parents in the order of names, and by a key that is not the primary one.
    """CREATE TABLE aunt (id INT AUTO_INCREMENT PRIMARY KEY, parent_code VARCHAR(20) NULL, n INT NOT NULL,
        FOREIGN KEY (parent_code) REFERENCES parent (code) ON DELETE SET NULL ON UPDATE CASCADE)""",
    """CREATE TABLE grandchild (child_id INT NOT NULL, line INT NOT NULL, PRIMARY KEY (child_id, line),
        FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE ON UPDATE CASCADE)""",
    """CREATE TABLE tree (id INT PRIMARY KEY, above INT NULL,
        FOREIGN KEY (above) REFERENCES tree (id) ON DELETE CASCADE)""",
)
ROWS = (
    "SET SESSION cte_max_recursion_depth = 10000",
    f"""INSERT INTO parent WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < {PARENTS})
        SELECT n, CONCAT('c', n), 0 FROM s""",
    "INSERT INTO child (parent_id, n) SELECT a.id, b.id FROM parent a, parent b WHERE b.id <= 5",
    "INSERT INTO aunt (parent_code, n) SELECT a.code, b.id FROM parent a, parent b WHERE b.id <= 5",
    "INSERT INTO grandchild SELECT id, 1 FROM child UNION ALL SELECT id, 2 FROM child",
    f"INSERT INTO tree SELECT id, NULL FROM parent WHERE id <= {PARENTS} ORDER BY id",
    "UPDATE tree SET above = id DIV 3 WHERE id >= 3",
)


def drop_parent(session: Session, chance: random.Random) -> None:
    session.execute(f"DELETE FROM parent WHERE id >= {chance.randrange(PARENTS)} ORDER BY id LIMIT 1")


def make_parent(session: Session, chance: random.Random) -> None:
    new = chance.randrange(PARENTS)
    session.execute(f"INSERT IGNORE INTO parent VALUES ({new}, CONCAT('c', {new}), 1)")
    session.execute(f"INSERT INTO child (parent_id, n) SELECT id, 7 FROM parent WHERE id = {new}")
    session.execute(f"INSERT INTO aunt (parent_code, n) SELECT code, 7 FROM parent WHERE id = {new}")


def move_parent(session: Session, chance: random.Random) -> None:
    new, old = chance.sample(range(PARENTS), 2)
    session.execute(f"UPDATE IGNORE parent SET id = {new} WHERE id = {old}")


def recode_parent(session: Session, chance: random.Random) -> None:
    session.execute(f"UPDATE parent SET code = '{chance.randbytes(6).hex()}' WHERE id = {chance.randrange(PARENTS)}")


def move_child(session: Session, chance: random.Random) -> None:
    session.execute(
        "UPDATE child SET n = n + 1,"
        f" parent_id = (SELECT MIN(id) FROM parent WHERE id > {chance.randrange(PARENTS // 2)})"
        f" WHERE id >= {chance.randrange(5 * PARENTS)} ORDER BY id LIMIT 3"
    )


def renumber_child(session: Session, chance: random.Random) -> None:
    # Never one that was given out before: the server would refuse the cascade.
    new = -next(_numbers)
    session.execute(f"UPDATE child SET id = {new} WHERE id >= {chance.randrange(2000)} ORDER BY id LIMIT 1")


def prune_tree(session: Session, chance: random.Random) -> None:
    session.execute(f"DELETE FROM tree WHERE id = {chance.randrange(PARENTS // 3, PARENTS)}")


def grow_tree(session: Session, chance: random.Random) -> None:
    new = chance.randrange(PARENTS // 3, 2 * PARENTS)
    session.execute(
        f"INSERT IGNORE INTO tree SELECT {new}, MAX(id) FROM tree WHERE id <= {chance.randrange(1, PARENTS)}"
    )


def graft_tree(session: Session, chance: random.Random) -> None:
    low = chance.randrange(3, PARENTS)
    session.execute(f"UPDATE IGNORE tree SET above = {chance.randrange(low)} WHERE id = {low}")


WORK: tuple[Callable[[Session, random.Random], None], ...] = (
    drop_parent, make_parent, make_parent, move_parent, recode_parent, move_child, renumber_child, prune_tree,
    grow_tree, graft_tree,
)  # fmt: skip


@pytest.fixture
def family(replica: Replica, request: pytest.FixtureRequest) -> Iterator[Load]:
    replica.settings |= {"TRANSFER_BATCH_SIZE": "50", "REPLICA_TRANSFER_WORKERS": "1"}
    with replica.primary.session() as session:
        rows = ROWS[1:] if session.is_mariadb else ROWS
    replica.on_primary(*TABLES, *rows)
    chance = random.Random(request.param)

    def transaction(session: Session) -> None:
        session.begin()
        for _ in range(chance.randint(1, 3)):
            chance.choice(WORK)(session, chance)
        session.execute("ROLLBACK" if chance.random() < 0.05 else "COMMIT")

    made = Load(replica.primary, replica.schema, transaction)
    yield made
    made.stop()


@pytest.mark.parametrize("engine", ["auto", "sql"])
@pytest.mark.parametrize("family", [1, 2], indirect=True, ids="seed-{}".format)
def test_families_changed_during_the_copy_and_afterwards_are_equal(replica: Replica, family: Load, engine: str) -> None:
    replica.settings |= {"REPLICA_ENGINE": engine}
    stream = replica.stream()
    replica.wait_until_applied(stream)
    family.stop()
    replica.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    replica.assert_equal()
    replica.assert_nothing_is_noted()
