"""The DDL statements that the writer mixes in: quick ones on live tables, and tables that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from replica_cli.mysql.session import Session


def change_definitions(session: Session, chance: Random, number: int) -> list[str]:
    """Return statements to run, each by itself: they commit implicitly.

    Some are after one that `replica` passes over: a process that is killed then begins before both of them.
    """
    passed_over = chance.choice(((), ("ANALYZE TABLE shape",), ("CREATE DATABASE IF NOT EXISTS torture",)))
    return [*passed_over, *_definitions(session, chance, number)]


def _definitions(session: Session, chance: Random, number: int) -> list[str]:
    kind = chance.randrange(6)
    if kind == 0:
        return _reshape(session, chance, number)
    if kind == 1:
        return [f"ALTER TABLE shape MODIFY word VARCHAR({chance.randint(40, 90)}) NOT NULL"]
    if kind == 2:
        return _index(session)
    if kind == 3:
        return [
            f"CREATE TABLE guest_{number} (id INT AUTO_INCREMENT PRIMARY KEY, word CHAR(20)) COMMENT = 'a ''guest'''",
            f"INSERT INTO guest_{number} (word) SELECT n FROM digits WHERE n < 20",
            f"ALTER TABLE guest_{number} ADD COLUMN later INT NOT NULL DEFAULT {number % 100}, ADD KEY (later)",
            f"RENAME TABLE guest_{number} TO visitor_{number}",
            f"UPDATE visitor_{number} SET word = 'renamed' WHERE id MOD 3 = 0",
        ]
    if kind == 4:
        return [
            f"CREATE TABLE ghost_{number} LIKE shape",
            f"INSERT INTO ghost_{number} SELECT * FROM shape",
            f"RENAME TABLE shape TO old_{number}, ghost_{number} TO shape",
            f"DROP TABLE old_{number}",
        ]
    return _dismiss(session)


def _reshape(session: Session, chance: Random, number: int) -> list[str]:
    columns = [str(name) for (name,) in session.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND table_name = 'shape' AND column_name LIKE 'c\\_%' ORDER BY ordinal_position"
    )]  # fmt: skip
    if len(columns) > 4 or (columns and chance.random() < 0.4):
        return [f"ALTER TABLE shape DROP COLUMN {chance.choice(columns)}"]
    place = chance.choice(("", " FIRST", " AFTER word"))
    kind = chance.choice(("INT NOT NULL DEFAULT 7", "VARCHAR(30) DEFAULT 'new'", "DATETIME(3) NULL", "DECIMAL(9,3)"))
    return [f"ALTER TABLE shape ADD COLUMN c_{number} {kind}{place}"]


def _index(session: Session) -> list[str]:
    there = session.row(
        "SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'item'"
        " AND index_name = 'by_price'"
    )
    return ["DROP INDEX by_price ON item" if there else "CREATE INDEX by_price ON item (price)"]


def _dismiss(session: Session) -> list[str]:
    found = session.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
        " AND (table_name LIKE 'visitor\\_%' OR table_name LIKE 'guest\\_%' OR table_name LIKE 'ghost\\_%'"
        " OR table_name LIKE 'old\\_%') ORDER BY table_name"
    )
    names = [f"`{name}`" for (name,) in found]
    if len(names) < 2:
        return ["TRUNCATE TABLE heap"]
    return [f"TRUNCATE TABLE {names[0]}", f"DROP TABLE {', '.join(names)}"]
