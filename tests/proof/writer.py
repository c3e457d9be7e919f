"""The load on the primary: some threads that change the neighbours of the planted rows, hot rows and a family."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from replica_cli.core.settings import Network
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.session import connect
from tests.proof.tables import HOT, HOT_ROWS, PARENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server
    from tests.proof.tables import PlantTable

_THREADS = 2
_NETWORK = Network()
# Of the hot rows these are deleted and inserted again all the time, the others are changed.
_FIRST_PASSING = 40
_KEYLESS_WEIGHT = 0.1


@dataclass(slots=True)
class Written:
    """How many transactions were committed, and in how many seconds."""

    transactions: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Return the transactions in a second."""
        return self.transactions / self.seconds if self.seconds else 0.0


class Writer:
    """Writes about `rate` transactions a second into a schema, until it is stopped. Usable in a `with` block."""

    def __init__(self, server: Server, schema: str, tables: Sequence[PlantTable], *, seed: str, rate: int) -> None:
        self.written = Written()
        self._address = server
        self._schema = schema
        self._tables = tables
        self._pause = _THREADS / rate
        self._is_over = threading.Event()
        self._errors: list[Exception] = []
        self._counts = [0] * _THREADS
        self._began_at = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(index, Random(f"{seed}:{index}")), daemon=True)
            for index in range(_THREADS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End after the current transactions. Raises the error that ended a thread before."""
        if not self._is_over.is_set():
            self._is_over.set()
            for thread in self._threads:
                thread.join(60)
            self.written = Written(sum(self._counts), time.monotonic() - self._began_at)
        if self._errors:
            raise self._errors[0]

    def _run(self, index: int, chance: Random) -> None:
        next_at = time.monotonic()
        try:
            with connect(self._address, _NETWORK, database=self._schema) as session:
                while not self._is_over.wait(max(0.0, next_at - time.monotonic())):
                    # A thread that is late catches up, but not more than a second of it.
                    next_at = max(next_at, time.monotonic() - 1) + self._pause
                    try:
                        session.execute_as_one([s.encode() for s in self._transaction(chance, index)])
                    except ServerError as error:
                        if error.remedy is not Remedy.RETRY:
                            raise
                    else:
                        self._counts[index] += 1
        except Exception as error:  # noqa: BLE001 - a thread's top: kept for stop() to raise
            self._errors.append(error)

    def _transaction(self, chance: Random, index: int) -> list[str]:
        actions = (_change_neighbour, _change_neighbour, _change_hot, _change_hot, _change_family)
        tables = self._tables
        statements: list[str] = []
        for _ in range(chance.choice((1, 1, 2, 4))):
            statements += chance.choice(actions)(chance, tables, index)
        return statements


def _change_neighbour(chance: Random, tables: Sequence[PlantTable], index: int) -> list[str]:
    """Change rows with odd numbers: each thread has its own, so that they do not wait for each other."""
    # A statement about a table without a key looks at all of its rows, on both servers.
    (table,) = chance.choices(tables, [1 if table.key else _KEYLESS_WEIGHT for table in tables])
    n = chance.randrange(table.row_count // 4) * 4 + 1 + 2 * index
    change = chance.choice(table.changes)[1]
    update = f"UPDATE {table.name} SET {change} WHERE {table.where(n)}"
    delete = f"DELETE FROM {table.name} WHERE {table.where(n)}"
    insert = f"INSERT INTO {table.name} VALUES ({table.values(n)})"
    if not table.key:
        return chance.choice(([f"{update} LIMIT 1"], [f"{delete} LIMIT 1", insert], [insert, f"{delete} LIMIT 1"]))
    replace = f"REPLACE INTO {table.name} VALUES ({table.values(n)})"
    return chance.choice(([update], [update], [delete, insert], [delete], [replace]))


def _change_hot(chance: Random, tables: Sequence[PlantTable], index: int) -> list[str]:  # noqa: ARG001 - one shape
    n = chance.randrange(HOT_ROWS)
    if n >= _FIRST_PASSING and chance.random() < 0.7:
        return chance.choice(([f"DELETE FROM hot WHERE n = {n}"], [f"REPLACE INTO hot VALUES ({HOT.values(n)})"]))
    return [f"UPDATE hot SET a = a + 1 WHERE n = {n}"]


def _change_family(chance: Random, tables: Sequence[PlantTable], index: int) -> list[str]:  # noqa: ARG001 - one shape
    n = chance.randrange(PARENTS)
    if chance.random() < 0.3:
        children = ",".join(f"({n + k * PARENTS}, {n}, {n})" for k in range(4))
        return [f"DELETE FROM parent WHERE id = {n}", f"INSERT INTO parent VALUES ({n}, 0)",
                f"INSERT IGNORE INTO child VALUES {children}"]  # fmt: skip
    return [f"UPDATE child SET n = n + 1 WHERE id = {n}"]
