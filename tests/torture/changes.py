"""What one transaction of the writer does: each action returns how many rows it meant to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.tables import ACCOUNTS, PARENTS, PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from replica_cli.mysql.session import Session

    Action = Callable[[Session, Random, int], int]

_GROUPS = 12
_SLOTS = 60


def move_money(session: Session, chance: Random, number: int) -> int:  # noqa: ARG001 - one shape for all
    """Change two hot rows."""
    source, target = chance.sample(range(ACCOUNTS), 2)
    amount = chance.randrange(100)
    session.execute(f"UPDATE account SET balance = balance - {amount}, moves = moves + 1 WHERE id = {source}")
    session.execute(f"UPDATE account SET balance = balance + {amount}, moves = moves + 1 WHERE id = {target}")
    return 2


def add_items(session: Session, chance: Random, number: int) -> int:
    """Insert some rows, one of them taking a slot from another by deletion."""
    slot = chance.randrange(_SLOTS)
    session.execute(f"DELETE FROM item WHERE slot = {slot}")
    body = "NULL" if chance.random() < 0.1 else f"REPEAT('{chance.choice(['ä', 'x', '€', '😀'])}', {number % 300})"
    session.execute(
        f"INSERT INTO item (sku, slot, price, body) VALUES ('sku-{number}', {slot}, {number % 977}.25, {body}),"
        f" ('more-{number}', NULL, 0.01, 'a \\'quoted\\' \\\\ text\\n')"
    )
    return 3


def swap_slots(session: Session, chance: Random, number: int) -> int:  # noqa: ARG001
    """Swap two rows' unique values through NULL, in one transaction."""
    one, other = chance.sample(range(_SLOTS), 2)
    session.execute(
        f"UPDATE item SET slot = NULL, sku = CONCAT('swap ', sku) WHERE slot = {one} AND CHAR_LENGTH(sku) < 30"
    )
    session.execute(f"UPDATE item SET slot = {one} WHERE slot = {other}")
    session.execute(f"UPDATE item SET slot = {other} WHERE slot IS NULL AND sku LIKE 'swap %' LIMIT 1")
    return 3


def shift_keys(session: Session, chance: Random, number: int) -> int:
    """Change primary keys: to far away, and several by one statement in the order that works."""
    if chance.random() < 0.5:
        session.execute(f"UPDATE item SET id = {1_000_000 + number} ORDER BY id LIMIT 1")
        return 1
    session.execute("UPDATE item SET id = id + 1 ORDER BY id DESC LIMIT 5")
    return 5


def trim_items(session: Session, chance: Random, number: int) -> int:  # noqa: ARG001
    """Keep the table small."""
    session.execute("DELETE FROM item WHERE slot IS NULL ORDER BY id LIMIT 6")
    session.execute(f"UPDATE item SET price = price + 0.10 WHERE slot < {chance.randrange(10)}")
    return 10


def change_family(session: Session, chance: Random, number: int) -> int:
    """Add children, delete a parent with all that hangs on it, give a parent another key."""
    parent = chance.randrange(PARENTS)
    kind = chance.randrange(4)
    if kind == 0:
        session.execute(f"DELETE FROM parent WHERE id = {parent}")
    elif kind == 1:
        session.execute(f"UPDATE parent SET id = {chance.randrange(PARENTS)} WHERE id = {parent}")
    elif kind == 2:
        session.execute(f"DELETE FROM child WHERE parent = {parent} ORDER BY id LIMIT 2")
        session.execute("DELETE FROM grandchild WHERE child IS NULL ORDER BY id LIMIT 5")
    session.execute(f"INSERT INTO parent VALUES ({parent}, 'again {number}') ON DUPLICATE KEY UPDATE name = 'kept'")
    session.execute(f"INSERT INTO child (parent, n) VALUES ({parent}, {number % 1000}), ({parent}, -1)")
    session.execute(
        f"INSERT INTO grandchild (child, n) SELECT MAX(id), {number % 1000} FROM child WHERE parent = {parent}"
    )
    return 5


def mix_types(session: Session, chance: Random, number: int) -> int:
    """Write every kind of value, change and delete some."""
    key = f"'{chance.choice('abcDÄ')}{number % 50}', {number % 7}"
    document = f'{{"n": {number}, "list": [1, null, "ü"]}}'
    session.execute(
        f"REPLACE INTO mix VALUES ({key}, {chance.random()}, {chance.uniform(-1e9, 1e9)}, {chance.randint(1, 3)},"
        f" {chance.randint(0, 7)}, '{document}', x'{chance.randbytes(40).hex()}',"
        f" '2024-02-29 23:59:59.{chance.randrange(10**6):06}', '-{chance.randrange(800)}:59:59.125',"
        f" {chance.randint(1901, 2155)}, {chance.randrange(4096)})"
    )
    session.execute(
        f"UPDATE mix SET f = f * 1.5, d = NULL, j = JSON_SET(j, '$.n', {number}) WHERE b = {number % 7} LIMIT 5"
    )
    session.execute(f"DELETE FROM mix WHERE b = {chance.randrange(7)} ORDER BY a LIMIT 1")
    return 7


def add_bulk(session: Session, chance: Random, number: int) -> int:
    """Insert hundreds or thousands of wide rows: a transaction that is larger than a batch and than the queue."""
    blocks = chance.choice((1, 3, 8, 20))
    session.execute(
        f"INSERT INTO bulk SELECT {number} * 10000 + a.n * 100 + b.n, {number % _GROUPS},"
        f" REPEAT('{number % 97:02} ', 70) FROM digits a JOIN digits b WHERE a.n < {blocks}"
    )
    return blocks * 100


def delete_bulk(session: Session, chance: Random, number: int) -> int:  # noqa: ARG001
    """Delete whole groups."""
    session.execute("DELETE FROM bulk WHERE grp IN (SELECT n FROM (SELECT grp AS n FROM bulk GROUP BY grp"
                    " ORDER BY COUNT(*) DESC LIMIT 2) AS largest)")  # fmt: skip
    return 1000


def change_bulk(session: Session, chance: Random, number: int) -> int:
    """Change many rows by one statement."""
    session.execute(
        f"UPDATE bulk SET pad = 'changed by {number}', grp = {chance.randrange(_GROUPS)} ORDER BY id LIMIT 300"
    )
    return 300


def use_heap(session: Session, chance: Random, number: int) -> int:
    """Change a table without any key, equal rows in it."""
    session.execute(f"INSERT INTO heap VALUES ({number % 5}, 'twice'), ({number % 5}, 'twice'), (NULL, NULL)")
    session.execute(f"UPDATE heap SET word = 'changed {number % 9}' WHERE n = {chance.randrange(5)} LIMIT 2")
    session.execute("DELETE FROM heap LIMIT 3")
    return 8


def use_savepoints(session: Session, chance: Random, number: int) -> int:
    """Take part of a transaction back, twice."""
    session.execute(f"UPDATE account SET moves = moves + 1 WHERE id = {chance.randrange(ACCOUNTS)}")
    session.execute("SAVEPOINT one")
    session.execute(f"INSERT INTO bulk SELECT {number} * 10000 + n, 99, 'never there' FROM digits")
    session.execute("DELETE FROM plain")
    session.execute("ROLLBACK TO SAVEPOINT one")
    session.execute(f"UPDATE plain SET n = n + 1 WHERE id = {chance.randrange(PLAIN)}")
    session.execute("SAVEPOINT two")
    session.execute("UPDATE account SET balance = 0")
    session.execute("ROLLBACK TO SAVEPOINT two")
    return 2


def use_plain(session: Session, chance: Random, number: int) -> int:
    """Change rows of the plain table, delete one and bring it back."""
    session.execute(f"UPDATE plain SET n = n + 1, note = 'by {number}' WHERE id MOD 7 = {number % 7}")
    gone = chance.randrange(PLAIN)
    session.execute(f"DELETE FROM plain WHERE id = {gone}")
    session.execute(f"INSERT INTO plain VALUES ({gone}, 0, 'back')")
    return 10


def use_calm(session: Session, chance: Random, number: int) -> int:  # noqa: ARG001 - one shape for all
    """Change rows of which no fault changes the like on a secondary."""
    session.execute(f"UPDATE calm SET n = n + 1 WHERE id MOD 7 = 0 AND id MOD 10 = {chance.randrange(10)}")
    return 10


def use_shape(session: Session, chance: Random, number: int) -> int:
    """Change the table whose definition changes."""
    session.execute(f"INSERT INTO shape (word) VALUES ('word {number}'), ('other {number}')")
    session.execute(f"UPDATE shape SET word = 'changed' ORDER BY id DESC LIMIT {chance.randint(1, 3)}")
    session.execute("DELETE FROM shape ORDER BY id LIMIT 1")
    return 5


WEIGHTS: dict[Action, int] = {
    move_money: 20, add_items: 10, swap_slots: 8, shift_keys: 4, trim_items: 6, change_family: 10, mix_types: 8,
    add_bulk: 1, delete_bulk: 1, change_bulk: 1, use_heap: 3, use_savepoints: 5, use_plain: 6, use_shape: 6,
    use_calm: 3,
}  # fmt: skip
