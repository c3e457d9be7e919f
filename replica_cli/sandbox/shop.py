"""Make the sample shop: eight tables with various types and keys, and about 200,000 rows that the server itself makes.

The SQL works on MariaDB and MySQL. All values are computed from the number of the row, so two loads are equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

SCHEMA = "shop"

_TABLES = {
    "country": """
        code CHAR(2) CHARACTER SET ascii NOT NULL PRIMARY KEY,
        name VARCHAR(60) NOT NULL,
        vat DECIMAL(5,3) UNSIGNED NOT NULL,
        joined YEAR NULL""",
    "customer": """
        id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        email VARCHAR(120) NOT NULL,
        name VARCHAR(80) NOT NULL,
        country CHAR(2) CHARACTER SET ascii NULL,
        status ENUM('new','regular','gold','blocked') NOT NULL DEFAULT 'new',
        credit DECIMAL(12,2) NOT NULL DEFAULT 0,
        preferences JSON NULL,
        born DATE NULL,
        changed TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
        note TEXT NULL,
        UNIQUE KEY email (email),
        KEY country (country),
        CONSTRAINT customer_country FOREIGN KEY (country) REFERENCES country (code) ON DELETE SET NULL""",
    "product": """
        sku VARCHAR(24) NOT NULL PRIMARY KEY,
        title VARCHAR(120) NOT NULL,
        price DECIMAL(10,2) UNSIGNED NOT NULL,
        weight_kg FLOAT NULL,
        labels SET('new','fragile','bulky','cold') NOT NULL DEFAULT '',
        picture BLOB NULL,
        attributes JSON NULL""",
    "stock": """
        warehouse TINYINT UNSIGNED NOT NULL,
        sku VARCHAR(24) NOT NULL,
        quantity MEDIUMINT NOT NULL,
        counted DATETIME(3) NULL,
        PRIMARY KEY (warehouse, sku),
        KEY sku (sku),
        CONSTRAINT stock_product FOREIGN KEY (sku) REFERENCES product (sku) ON UPDATE CASCADE ON DELETE CASCADE""",
    "purchase": """
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        customer_id INT UNSIGNED NOT NULL,
        state ENUM('open','paid','sent','returned') NOT NULL DEFAULT 'open',
        total DECIMAL(14,2) NOT NULL DEFAULT 0,
        placed DATETIME(6) NOT NULL,
        is_gift BIT(1) NOT NULL DEFAULT b'0',
        KEY customer (customer_id, placed),
        CONSTRAINT purchase_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
            ON UPDATE CASCADE ON DELETE CASCADE""",
    "purchase_item": """
        purchase_id BIGINT UNSIGNED NOT NULL,
        line SMALLINT UNSIGNED NOT NULL,
        sku VARCHAR(24) NOT NULL,
        quantity SMALLINT UNSIGNED NOT NULL,
        price DECIMAL(10,2) NOT NULL,
        PRIMARY KEY (purchase_id, line),
        KEY sku (sku),
        CONSTRAINT item_purchase FOREIGN KEY (purchase_id) REFERENCES purchase (id)
            ON UPDATE CASCADE ON DELETE CASCADE,
        CONSTRAINT item_product FOREIGN KEY (sku) REFERENCES product (sku) ON UPDATE CASCADE""",
    "login": """
        token BINARY(16) NOT NULL PRIMARY KEY,
        customer_id INT UNSIGNED NULL,
        address VARBINARY(16) NULL,
        since TIMESTAMP(3) NULL DEFAULT NULL,
        KEY customer (customer_id),
        CONSTRAINT login_customer FOREIGN KEY (customer_id) REFERENCES customer (id)
            ON UPDATE CASCADE ON DELETE SET NULL""",
    "visit": """
        seen DATETIME(3) NOT NULL,
        path VARCHAR(120) NOT NULL,
        customer_id INT UNSIGNED NULL,
        seconds DOUBLE NULL,
        clicks TINYINT NULL,
        KEY seen (seen)""",
}

_ROWS = {
    "country": (50, """
        (code, name, vat, joined)
        SELECT CONCAT(CHAR(65 + n DIV 26), CHAR(65 + n MOD 26)), CONCAT('Country ', n), (n MOD 27) + 0.5, 1950 + n"""),
    "customer": (20_000, """
        (id, email, name, country, status, credit, preferences, born, changed, note)
        SELECT n + 1, CONCAT('user', n, '@example.org'),
            CONCAT(ELT(1 + n MOD 6,
                'Zoë Müller', 'Søren Ångström', '山田 花子', 'O''Brien', 'Ana "Nà" \\\\ Pérez', 'Ivan 🛒'), ' ', n),
            IF(n MOD 11 = 0, NULL, CONCAT(CHAR(65 + n MOD 50 DIV 26), CHAR(65 + n MOD 50 MOD 26))),
            1 + n MOD 4, (CAST(n * 7919 MOD 200000 AS SIGNED) - 100000) / 100,
            IF(n MOD 5 = 0, NULL, JSON_OBJECT('news', n MOD 2, 'size', ELT(1 + n MOD 3, 'S', 'M', 'L'), 'seen', n)),
            IF(n MOD 7 = 0, NULL, DATE_ADD('1940-01-01', INTERVAL n DAY)),
            DATE_ADD('2024-01-01', INTERVAL n * 1013000 MICROSECOND),
            ELT(1 + n MOD 4, NULL, '', REPEAT(SHA2(n, 256), 1 + n MOD 5), 'two\\nlines')"""),
    "product": (5_000, """
        (sku, title, price, weight_kg, labels, picture, attributes)
        SELECT CONCAT(ELT(1 + n MOD 3, 'Bk-', 'TOY-', 'Été-'), LPAD(n, 6, '0')), CONCAT('Thing number ', n),
            (100 + n * 37 MOD 90000) / 100, IF(n MOD 9 = 0, NULL, n / 7e0), n MOD 16,
            IF(n MOD 3 = 0, NULL, UNHEX(REPEAT(SHA2(n, 256), 1 + n MOD 12))),
            JSON_OBJECT('colour', ELT(1 + n MOD 3, 'red', 'blau', '青'), 'sizes', JSON_ARRAY(n MOD 50, NULL, 'x'))"""),
    "stock": (10_000, """
        (warehouse, sku, quantity, counted)
        SELECT IF(n < 5000, 1, 200), CONCAT(ELT(1 + n MOD 5000 MOD 3, 'Bk-', 'TOY-', 'Été-'), LPAD(n MOD 5000, 6, '0')),
            CAST(n MOD 700 AS SIGNED) - 20, IF(n MOD 4 = 0, NULL, DATE_ADD('2024-06-01', INTERVAL n SECOND))"""),
    "purchase": (40_000, """
        (id, customer_id, state, total, placed, is_gift)
        SELECT n + 1, 1 + n * 13 MOD 20000, 1 + n MOD 4, (n * 31 MOD 900000) / 100,
            DATE_ADD('2024-02-01', INTERVAL n * 600000123 MICROSECOND), n MOD 10 = 0"""),
    "purchase_item": (85_000, """
        (purchase_id, line, sku, quantity, price)
        SELECT 1 + n MOD 40000, 1 + n DIV 40000,
            CONCAT(ELT(1 + n * 17 MOD 5000 MOD 3, 'Bk-', 'TOY-', 'Été-'), LPAD(n * 17 MOD 5000, 6, '0')),
            1 + n MOD 9, (100 + n * 37 MOD 90000) / 100"""),
    "login": (10_000, """
        (token, customer_id, address, since)
        SELECT UNHEX(LEFT(SHA2(n, 256), 32)), IF(n MOD 6 = 0, NULL, 1 + n),
            UNHEX(LEFT(SHA2(n + 1, 256), IF(n MOD 2, 8, 32))),
            IF(n MOD 8 = 0, NULL, DATE_ADD('2024-03-01', INTERVAL n SECOND))"""),
    # Every three consecutive visits are equal, and the table has no primary or unique key.
    "visit": (30_000, """
        (seen, path, customer_id, seconds, clicks)
        SELECT DATE_ADD('2024-04-01', INTERVAL n DIV 3 SECOND), CONCAT('/p/', n DIV 3 MOD 500),
            IF(n DIV 3 MOD 2, NULL, n DIV 3 MOD 20000), n DIV 3 / 3e0, CAST(n DIV 3 MOD 100 AS SIGNED) - 10"""),
}  # fmt: skip

TABLES = tuple(_TABLES)


@dataclass(frozen=True, slots=True)
class ShopSize:
    """How many rows and tables were loaded."""

    rows: int
    tables: int


def create_shop(session: Session, schema: str = SCHEMA) -> None:
    """Make the shop's schema with empty tables. A schema of that name is dropped first."""
    session.execute(f"DROP DATABASE IF EXISTS `{schema}`")
    session.execute(f"CREATE DATABASE `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    session.execute(f"USE `{schema}`")
    for name, columns in _TABLES.items():
        session.execute(f"CREATE TABLE `{name}` ({columns}\n) ENGINE=InnoDB")


def load_shop(session: Session, schema: str = SCHEMA) -> ShopSize:
    """Make the shop and fill it, with one transaction for each table. Return how much was loaded."""
    create_shop(session, schema)
    total = sum(
        session.execute(f"INSERT INTO `{name}` {select} FROM ({_numbers(count)}) AS numbers")
        for name, (count, select) in _ROWS.items()
    )
    return ShopSize(total, len(_ROWS))


def _numbers(count: int) -> str:
    # A cross join of digits, because the syntax and the limits of recursive queries differ between the flavours.
    digits = " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10))
    places = range(len(str(count - 1)))
    value = " + ".join(f"{10**p} * t{p}.d" for p in places)
    tables = " CROSS JOIN ".join(f"({digits}) AS t{p}" for p in places)
    return f"SELECT {value} AS n FROM {tables} WHERE {value} < {count}"
