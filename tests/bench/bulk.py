"""A table of 10 columns: 700,000 rows, written in transactions of 1,000, or there from the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

SCHEMA = "bulk"
_BATCH = 1000
_TABLE = """CREATE TABLE `bulk`.line (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer INT UNSIGNED NOT NULL,
    name VARCHAR(80) NOT NULL,
    code CHAR(12) CHARACTER SET ascii NOT NULL,
    price DECIMAL(12,2) NOT NULL,
    weight DOUBLE NULL,
    placed DATETIME NOT NULL,
    changed TIMESTAMP(3) NULL,
    state ENUM('open','paid','sent') NOT NULL,
    note VARCHAR(200) NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""
_ROWS = """INSERT INTO `bulk`.line
    SELECT n, n * 7919 MOD 100000, CONCAT('Zoë Müller ', n), LPAD(n, 12, '0'), (n * 31 MOD 9000000) / 100,
        IF(n MOD 9 = 0, NULL, n / 7e0), DATE_ADD('2024-01-01', INTERVAL n SECOND),
        DATE_ADD('2024-02-01', INTERVAL n * 1013000 MICROSECOND), 1 + n MOD 3,
        IF(n MOD 4 = 0, NULL, REPEAT(CONCAT('note ', n, ' '), 1 + n MOD 6))
    FROM (SELECT seq + {offset} AS n FROM {counted}) AS numbers"""
# Numbers from 1, by whether the server is MariaDB: MySQL has no tables that count.
_COUNTED = {
    True: f"seq_1_to_{_BATCH}",
    False: f"(WITH RECURSIVE one (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM one WHERE seq < {_BATCH}) "
    "SELECT seq FROM one) AS counted",
}


@dataclass(frozen=True, slots=True)
class Bulk:
    """A number of rows. `is_loaded`: they exist before the log. `is_one`: all of them are in one transaction."""

    rows: int = 700_000
    is_loaded: bool = False
    is_one: bool = False

    def load(self, primary: SandboxServer) -> None:
        """Make the table."""
        with primary.session(database=SCHEMA) as session:
            session.execute(_TABLE)
            if self.is_loaded:
                self._fill(session)

    def write(self, primary: SandboxServer) -> int:
        """Write the rows; return how many transactions."""
        if self.is_loaded:
            return 0
        with primary.session(database=SCHEMA) as session:
            return self._fill(session)

    def _fill(self, session: Session) -> int:
        count = self.rows // _BATCH
        if self.is_one:
            session.begin()
        for number in range(count):
            session.execute(_ROWS.format(offset=number * _BATCH, counted=_COUNTED[session.is_mariadb]))
        if self.is_one:
            session.commit()
        return 1 if self.is_one else count
