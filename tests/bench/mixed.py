"""Updates and deletes on 8 tables of 40,000 rows, with a unique and two other secondary indexes each."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer

SCHEMA = "mixed"
_TABLES = 8
_TABLE = """CREATE TABLE `mixed`.t{number} (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    mail VARCHAR(60) NOT NULL,
    city VARCHAR(30) NOT NULL,
    amount DECIMAL(12,2) NOT NULL,
    changed DATETIME(3) NOT NULL,
    note VARCHAR(120) NULL,
    UNIQUE KEY mail (mail),
    KEY city (city, amount),
    KEY changed (changed)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""
_ROWS = """INSERT INTO `mixed`.t{number}
    SELECT seq, CONCAT('user', seq, '@example.org'), CONCAT('City ', seq MOD 300), (seq * 31 MOD 900000) / 100,
        DATE_ADD('2024-01-01', INTERVAL seq SECOND), IF(seq MOD 4 = 0, NULL, REPEAT('note ', 1 + seq MOD 12))
    FROM seq_1_to_{rows}"""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Transactions of 4 statements on tables drawn at random: 5 updates for each delete."""

    rows: int = 40_000
    transactions: int = 40_000

    def load(self, primary: SandboxServer) -> None:
        """Make and fill the tables."""
        with primary.session(database=SCHEMA) as session:
            for number in range(_TABLES):
                session.execute(_TABLE.format(number=number))
                session.execute(_ROWS.format(number=number, rows=self.rows))

    def write(self, primary: SandboxServer) -> int:
        """Make the log; return how many transactions."""
        chance = Random(11)
        with primary.session(database=SCHEMA) as session:
            for _ in range(self.transactions):
                statements = [b"BEGIN", *(self._statement(chance) for _ in range(4)), b"COMMIT"]
                session.send(statements)
                for number in range(len(statements)):
                    session.receive(is_first=not number)
        return self.transactions

    def _statement(self, chance: Random) -> bytes:
        table, row = f"`mixed`.t{chance.randrange(_TABLES)}", chance.randrange(self.rows) + 1
        kind = chance.randrange(6)
        if kind == 0:
            text = f"DELETE FROM {table} WHERE id = {row}"
        elif kind < 3:
            changed = f"'2025-01-01' + INTERVAL {row} SECOND"
            text = f"UPDATE {table} SET amount = amount + 1, changed = {changed} WHERE id = {row}"
        elif kind < 5:
            text = f"UPDATE {table} SET city = 'City {chance.randrange(300)}' WHERE id = {row}"
        else:
            text = f"UPDATE {table} SET note = 'seen {row}' WHERE mail = 'user{row}@example.org'"
        return text.encode()
