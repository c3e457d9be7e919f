"""The tables that the writer changes, in the dialect that both flavours share."""

from __future__ import annotations

SCHEMA = "torture"
OTHER_SCHEMA = "torture_other"  # is dropped and made again
SCHEMAS = (SCHEMA, OTHER_SCHEMA)
STATE_SCHEMA = "torture_state"
ACCOUNTS = 12  # few: hot rows
PARENTS = 40
PLAIN = 60
CALM = 700
# Tables that faults change on a secondary alone.
CHANGED_BEHIND = frozenset({f"{SCHEMA}.plain", f"{SCHEMA}.calm"})

# `ledger` has no key: each transaction adds one row to it, and a transaction applied twice leaves a row more.
_LEDGER = "CREATE TABLE ledger (number BIGINT NOT NULL, kind VARCHAR(20) NOT NULL)"

TABLES = (
    "CREATE TABLE digits (n INT PRIMARY KEY)",
    _LEDGER,
    "CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT NOT NULL, moves INT NOT NULL DEFAULT 0)",
    (
        "CREATE TABLE item (id BIGINT PRIMARY KEY AUTO_INCREMENT, sku VARCHAR(40) NOT NULL, slot INT NULL,"
        " price DECIMAL(12,2) NOT NULL, body TEXT, changed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"
        " ON UPDATE CURRENT_TIMESTAMP(6), UNIQUE KEY (sku), UNIQUE KEY (slot))"
    ),
    "CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
    (
        "CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, parent INT NOT NULL, n INT NOT NULL,"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)"
    ),
    (
        "CREATE TABLE grandchild (id INT PRIMARY KEY AUTO_INCREMENT, child INT NULL, n INT NOT NULL,"
        " FOREIGN KEY (child) REFERENCES child (id) ON DELETE SET NULL)"
    ),
    (
        "CREATE TABLE mix (a VARCHAR(20) NOT NULL, b INT NOT NULL, f FLOAT, d DOUBLE, e ENUM('one','two','drei'),"
        " s SET('a','b','c'), j JSON, bl BLOB, dt DATETIME(6), t TIME(3), y YEAR, bits BIT(12), PRIMARY KEY (a, b))"
    ),
    "CREATE TABLE bulk (id BIGINT PRIMARY KEY, grp INT NOT NULL, pad VARCHAR(1000) NOT NULL, KEY (grp))",
    "CREATE TABLE heap (n INT, word VARCHAR(30))",
    "CREATE TABLE shape (id INT PRIMARY KEY AUTO_INCREMENT, word VARCHAR(40) NOT NULL)",
    f"CREATE TABLE {OTHER_SCHEMA}.guest (id INT PRIMARY KEY, word VARCHAR(30))",
    # The one that is changed directly on the secondary: no definition of it changes on the primary.
    "CREATE TABLE plain (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(60), KEY (n))",
    # Of this one rows are changed on the secondary that the primary leaves alone.
    "CREATE TABLE calm (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(60))",
)

ROWS = (
    f"INSERT INTO digits VALUES {','.join(f'({n})' for n in range(100))}",
    f"INSERT INTO account (id, balance) VALUES {','.join(f'({n}, 1000)' for n in range(ACCOUNTS))}",
    f"INSERT INTO parent VALUES {','.join(f'({n}, {chr(39)}parent {n}{chr(39)})' for n in range(PARENTS))}",
    f"INSERT INTO child (parent, n) SELECT id, 1 FROM parent WHERE id < {PARENTS // 2}",
    f"INSERT INTO plain SELECT n, 0, 'as it was' FROM digits WHERE n < {PLAIN}",
    f"INSERT INTO calm SELECT a.n * 100 + b.n, 0, 'calm' FROM digits a JOIN digits b WHERE a.n < {CALM // 100}",
    "INSERT INTO item (sku, slot, price, body) SELECT CONCAT('first-', n), n, n / 7, REPEAT('x', n) FROM digits",
    f"INSERT INTO {OTHER_SCHEMA}.guest SELECT n, n FROM digits WHERE n < 20",
    "INSERT INTO bulk SELECT n, 0, REPEAT('first ', 30) FROM digits",
)


def _pattern(schema: str) -> str:
    """Return a schema's name for a GRANT, in which an underscore alone matches any character."""
    return "`" + schema.replace("_", "\\_") + "`"


_PATTERNS = tuple(map(_pattern, SCHEMAS))
# As docs/accounts.md has them, and nothing more: a statement that needs more fails here.
_ON_SECONDARY = (
    *(
        f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, TRIGGER ON {name}.* TO {{0}}"
        for name in _PATTERNS
    ),
    f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON {_pattern(STATE_SCHEMA)}.* TO {{0}}",
)
_ON_PRIMARY = tuple(f"GRANT SELECT, LOCK TABLES ON {name}.* TO {{0}}" for name in _PATTERNS)
_FLAVOURED = {
    True: ("GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO {0}", "GRANT BINLOG REPLAY ON *.* TO {0}"),
    False: ("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {0}", "GRANT REPLICATION_APPLIER ON *.* TO {0}"),
}

USER = "torture"
PASSWORD = "tried and tried"  # a throw-away server on the loopback interface


def account_statements(*, is_mariadb: bool, is_primary: bool) -> list[str]:
    """Return what makes replica's account with the least privileges."""
    account = f"'{USER}'@'%'"
    on_primary, on_secondary = _FLAVOURED[is_mariadb]
    grants = (*_ON_PRIMARY, on_primary) if is_primary else (*_ON_SECONDARY, on_secondary)
    return [f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'", *(grant.format(account) for grant in grants)]
