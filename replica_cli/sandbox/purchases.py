"""Define what customers and staff of the sample shop do. Each function runs the statements of one transaction.

It takes a session with an open transaction and the shop as default schema, and returns the number of changed rows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from replica_cli.mysql.session import Session

_WORDS = ("", "Zoë", "O'Brien", "東京 🛒", "back\\slash", "two\nlines", "trailing  ")


def order(session: Session, chance: Random) -> int:
    """Place an order of a few lines, sometimes as a new customer, and take it from stock."""
    rows = 1
    customer = _customer(session, chance)
    if customer is None or chance.random() < 0.2:
        rows += session.execute(
            "INSERT INTO customer (email, name, status, preferences, born) VALUES (%s, %s, %s, %s, %s)",
            f"{_hex(chance)}@example.org",
            chance.choice(_WORDS),
            chance.choice(("new", "gold")),
            json.dumps({"news": chance.random() < 0.5, "sizes": [chance.randrange(50), None]}),
            chance.choice((None, "1987-06-05")),
        )
        customer = _inserted(session)
    session.execute(
        "INSERT INTO purchase (customer_id, placed, is_gift) VALUES (%s, NOW(6), %s)", customer, chance.randrange(2)
    )
    purchase = _inserted(session)
    for line in range(1, chance.randint(2, 5)):
        sku = _sku(session, chance)
        rows += session.execute(
            "INSERT INTO purchase_item SELECT %s, %s, sku, %s, price FROM product WHERE sku = %s",
            purchase, line, chance.randint(1, 9), sku,
        )  # fmt: skip
        rows += session.execute("UPDATE stock SET quantity = quantity - 1 WHERE warehouse = 1 AND sku = %s", sku)
    return rows + session.execute(
        "UPDATE purchase SET total = (SELECT COALESCE(SUM(quantity * price), 0) FROM purchase_item WHERE purchase_id ="
        " %s) WHERE id = %s",
        purchase, purchase,
    )  # fmt: skip


def pay(session: Session, chance: Random) -> int:
    """Move a purchase to its next state and charge its customer."""
    purchase = _purchase(session, chance)
    rows = session.execute("UPDATE purchase SET state = %s WHERE id = %s", chance.choice(("paid", "sent")), purchase)
    return rows + session.execute(
        "UPDATE customer SET credit = credit - %s WHERE id = (SELECT customer_id FROM purchase WHERE id = %s)",
        f"{chance.randrange(10_000) / 100:.2f}", purchase,
    )  # fmt: skip


def edit_product(session: Session, chance: Random) -> int:
    """Change a product's price, weight, picture and attributes."""
    return session.execute(
        "UPDATE product SET price = %s, weight_kg = %s, picture = %s, labels = %s,"
        " attributes = JSON_OBJECT('v', %s, 'who', %s) WHERE sku = %s",
        f"{chance.randrange(100_000) / 100:.2f}", chance.choice((None, chance.random() * 100)),
        chance.choice((None, b"", chance.randbytes(chance.randrange(300)))), chance.choice(("", "new,cold", "bulky")),
        chance.randrange(1 << 40), chance.choice(_WORDS), _sku(session, chance),
    )  # fmt: skip


def edit_customer(session: Session, chance: Random) -> int:
    """Change a customer's name, note and country."""
    return session.execute(
        "UPDATE customer SET name = %s, note = %s, country = %s, status = status + 0 WHERE id = %s",
        chance.choice(_WORDS), chance.choice((None, *_WORDS, "Ω" * 400)), chance.choice((None, "AA", "AB", "BC")),
        _customer(session, chance),
    )  # fmt: skip


def visit(session: Session, chance: Random) -> int:
    """Insert a few equal visits into the keyless table."""
    seen = (chance.choice(("/", "/p/7", "/p/été")), chance.choice((None, 7)), chance.random(), chance.randrange(-9, 99))
    several = ", ".join(["(NOW(3), %s, %s, %s, %s)"] * chance.randint(1, 4))
    values = seen * several.count("(NOW")
    return session.execute(f"INSERT INTO visit (seen, path, customer_id, seconds, clicks) VALUES {several}", *values)


def forget_visits(session: Session, chance: Random) -> int:
    """Delete and change rows of the keyless table, also single ones of several equal rows."""
    rows = session.execute("DELETE FROM visit ORDER BY seen LIMIT %s", chance.randint(1, 4))
    return rows + session.execute("UPDATE visit SET clicks = 100 - clicks ORDER BY seen LIMIT 2")


def take_stock(session: Session, chance: Random) -> int:
    """Count a product in both warehouses."""
    return session.execute(
        "UPDATE stock SET quantity = quantity + %s, counted = NOW(3) WHERE sku = %s",
        chance.randint(-50, 60),
        _sku(session, chance),
    )


def log_in(session: Session, chance: Random) -> int:
    """Insert a login, change the key of a second one and delete a third one."""
    rows = session.execute(
        "INSERT INTO login VALUES (%s, %s, %s, NOW(3))",
        chance.randbytes(16), _customer(session, chance), chance.choice((None, b"", b"\x7f\0\0\x01")),
    )  # fmt: skip
    bound = chance.randbytes(16)
    rows += session.execute("UPDATE login SET token = %s WHERE token > %s LIMIT 1", chance.randbytes(16), bound)
    return rows + session.execute("DELETE FROM login WHERE token < %s ORDER BY token DESC LIMIT 1", bound)


def cancel(session: Session, chance: Random) -> int:
    """Delete a purchase. The foreign key deletes its lines."""
    return session.execute("DELETE FROM purchase WHERE id = %s", _purchase(session, chance))


def renumber_lines(session: Session, chance: Random) -> int:
    """Change one column of a composite key in several rows."""
    return session.execute(
        "UPDATE purchase_item SET line = line + 1 WHERE purchase_id = %s AND line < 60000 ORDER BY line DESC",
        _purchase(session, chance),
    )


def rename_product(session: Session, chance: Random) -> int:
    """Change a product's key. The foreign keys change its stock and all its lines."""
    return session.execute("UPDATE product SET sku = %s WHERE sku = %s", f"N-{_hex(chance)}", _sku(session, chance))


def renumber_customer(session: Session, chance: Random) -> int:
    """Change a customer's key; the foreign keys change purchases and logins. New keys are far above AUTO_INCREMENT."""
    new = chance.randrange(3_000_000_000, 4_000_000_000)
    return session.execute("UPDATE customer SET id = %s WHERE id = %s", new, _customer(session, chance))


def remove_customer(session: Session, chance: Random) -> int:
    """Delete a customer. The foreign keys delete purchases and their lines, and set the customer of logins to NULL."""
    return session.execute("DELETE FROM customer WHERE id = %s", _customer(session, chance))


def reprice(session: Session, chance: Random) -> int:
    """Change thousands of rows at once."""
    first = chance.randrange(1, 40_000)
    rows = session.execute(
        "UPDATE purchase_item SET quantity = quantity MOD 9 + 1 WHERE purchase_id BETWEEN %s AND %s", first, first + 999
    )
    return rows + session.execute(
        "UPDATE customer SET credit = credit + 0.01 WHERE id BETWEEN %s AND %s", first // 2, first // 2 + 999
    )


# How often each function is chosen, of about a hundred times.
WEIGHTS: dict[Callable[[Session, Random], int], int] = {
    order: 34, pay: 14, visit: 12, edit_product: 8, edit_customer: 6, take_stock: 7, log_in: 6, cancel: 5,
    forget_visits: 3, renumber_lines: 3, rename_product: 1, renumber_customer: 1, remove_customer: 1, reprice: 1,
}  # fmt: skip


def _customer(session: Session, chance: Random) -> int | None:
    row = session.row("SELECT id FROM customer WHERE id >= %s ORDER BY id LIMIT 1", chance.randrange(25_000))
    return int(row[0]) if row else None


def _purchase(session: Session, chance: Random) -> int | None:
    row = session.row("SELECT id FROM purchase WHERE id <= %s ORDER BY id DESC LIMIT 1", chance.randrange(60_000))
    return int(row[0]) if row else None


def _sku(session: Session, chance: Random) -> str | None:
    start = f"{chance.choice(('Bk', 'TOY', 'Été', 'N'))}-{chance.randrange(5000):06d}"
    row = session.row("SELECT sku FROM product WHERE sku >= %s ORDER BY sku LIMIT 1", start)
    return str(row[0]) if row else None


def _inserted(session: Session) -> int:
    row = session.row("SELECT LAST_INSERT_ID()")
    return int(row[0]) if row else 0


def _hex(chance: Random) -> str:
    return chance.randbytes(8).hex()
