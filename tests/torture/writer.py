"""The load on the primary: threads that write until a stop, and reconnect when the primary is back."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from replica_cli.core.settings import Network
from replica_cli.mysql.errnos import DUPLICATES, Remedy, ServerError
from replica_cli.mysql.session import Session, connect
from tests.torture.changes import WEIGHTS
from tests.torture.definitions import change_definitions
from tests.torture.kinds import Fails
from tests.torture.tables import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server
    from tests.torture.kinds import Kind

_NETWORK = Network(connect_timeout=5.0, query_timeout=60.0)
_THREADS = 2
# Quick at first, then slow enough that catching up takes seconds, not minutes, on a busy machine.
_PAUSE_SECONDS, _LATER_PAUSE_SECONDS = 0.015, 0.15
_QUICK_TRANSACTIONS = 250
_NUMBERS = 1_000_000  # a thread's own in a round
# MariaDB still counts columns that were dropped without a rebuild, until the table is rebuilt.
_TOO_LARGE_ROW = 1118
# In each other's way, or a key that is taken: the transaction is taken back, as applications do.
# A deadlock that is met at the lock of an AUTO_INCREMENT counter has a number of its own on MariaDB (1467).
# What follows is of a definition that another thread changed, or that a crash left half done.
_ORDINARY = frozenset({
    *DUPLICATES, 1451, 1452, 1205, 1213, 1467, 1020, 1146, 1054, 1412, 1050, 1051, 1061, 1091, 1060, 1136,
    1049, 1364, 1505, 1507, 1517, 1526, 1735, 1737, 1748, _TOO_LARGE_ROW,
})  # fmt: skip
_ALTERED = re.compile(r"ALTER TABLE (\S+)")


@dataclass(slots=True)
class Counts:
    """What the threads of a writer did."""

    transactions: int = 0
    rows: int = 0
    definitions: int = 0
    rollbacks: int = 0
    reconnects: int = 0


class Writer:
    """Writes from two threads, each with numbers of its own: no number is used twice, whatever became of its commit."""

    def __init__(self, server: Server, *, seed: str, round_number: int, kinds: Sequence[Kind] = ()) -> None:
        self.first_number = round_number * _THREADS * _NUMBERS
        self._server = server
        self._kinds = kinds
        self._is_over = threading.Event()
        self._errors: list[Exception] = []
        self._counts = [Counts() for _ in range(_THREADS)]
        self._acknowledged: list[tuple[int, float]] = []
        self._threads = [
            threading.Thread(target=self._run, args=(Random(f"{seed}:{index}"), round_number, index), daemon=True)
            for index in range(_THREADS)
        ]

    @property
    def transactions(self) -> int:
        """Return how many were committed so far."""
        return sum(c.transactions for c in self._counts)

    def acknowledged(self) -> dict[int, float]:
        """Return the ledger number of each transaction whose commit the primary has acknowledged, with the time.

        The time is the wall clock's, taken after the acknowledgement: the row was on the primary at that moment.
        """
        return dict(self._acknowledged[:])

    def start(self) -> None:
        """Begin writing."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Counts:
        """End after the current transactions. Raises the error that ended a thread before."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(120)
        if self._errors:
            raise self._errors[0]
        return Counts(*(sum(getattr(c, name) for c in self._counts) for name in Counts.__slots__))

    def _run(self, chance: Random, round_number: int, index: int) -> None:
        number = (round_number * _THREADS + index) * _NUMBERS
        counts = self._counts[index]
        session: Session | None = None
        try:
            while not self._is_over.wait(
                _PAUSE_SECONDS if counts.transactions < _QUICK_TRANSACTIONS else _LATER_PAUSE_SECONDS
            ):
                number += 1
                try:
                    session = session or connect(self._server, _NETWORK, database=SCHEMA)
                    # One thread alone changes definitions: they need no luck with each other.
                    dice = chance.random()
                    if index == 0 and dice < 0.02:
                        self._define(session, chance, number, counts)
                    elif index == 0 and self._kinds and dice < 0.07:
                        self._define_kind(session, chance, number, counts)
                    elif self._kinds and dice > 0.8:
                        self._change_kind(session, chance, number, counts)
                    else:
                        self._write(session, chance, number, counts)
                except ServerError as error:
                    session = self._after(error, session, counts)
        except Exception as error:  # noqa: BLE001 - a thread's top: kept for stop() to raise
            self._errors.append(error)
        finally:
            if session is not None:
                session.close()

    def _write(self, session: Session, chance: Random, number: int, counts: Counts) -> None:
        actions = chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=chance.choice((1, 1, 1, 2, 4)))
        session.begin()
        rows = sum(action(session, chance, number * 10 + turn) for turn, action in enumerate(actions))
        session.execute(f"INSERT INTO ledger VALUES ({number}, '{actions[0].__name__}')")
        if chance.random() < 0.04:
            session.rollback()
            counts.rollbacks += 1
            return
        session.commit()
        self._acknowledged.append((number, time.time()))
        counts.transactions += 1
        counts.rows += rows + 1

    def _define(self, session: Session, chance: Random, number: int, counts: Counts) -> None:
        for statement in change_definitions(session, chance, number):
            _alter(session, statement)
            counts.definitions += 1
        self._log(session, number, "definition", counts)

    def _define_kind(self, session: Session, chance: Random, number: int, counts: Counts) -> None:
        kind = chance.choice(self._kinds)
        # A session of its own: temporary tables and settings end with it.
        with connect(self._server, _NETWORK, database=SCHEMA) as own:
            for step in kind.define(own, chance, number):
                try:
                    _alter(own, step.statement if isinstance(step, Fails) else step)
                except ServerError as error:
                    if not isinstance(step, Fails) or error.errno not in step.errnos:
                        raise
                counts.definitions += 1
        self._log(session, number, kind.name, counts)

    def _change_kind(self, session: Session, chance: Random, number: int, counts: Counts) -> None:
        kind = chance.choice(self._kinds)
        session.begin()
        for statement in kind.change(chance, number):
            session.execute(statement)
        session.execute(f"INSERT INTO ledger VALUES ({number}, '{kind.name[:20]}')")
        session.commit()
        self._acknowledged.append((number, time.time()))
        counts.transactions += 1

    def _log(self, session: Session, number: int, kind: str, counts: Counts) -> None:
        session.execute(f"INSERT INTO ledger VALUES ({number}, '{kind[:20]}')")
        self._acknowledged.append((number, time.time()))
        counts.transactions += 1

    def _after(self, error: ServerError, session: Session | None, counts: Counts) -> Session | None:
        if error.errno in _ORDINARY and session is not None:
            try:
                session.rollback()
            except ServerError as lost:  # the primary died before it
                return self._after(lost, session, counts)
            counts.rollbacks += 1
            return session
        if error.remedy not in {Remedy.RECONNECT, Remedy.RETRY, Remedy.WAIT}:
            raise error
        if session is not None:
            session.close()
        counts.reconnects += 1
        self._is_over.wait(0.2)
        return None


def _alter(session: Session, statement: str) -> None:
    """Run a statement; rebuild the table that it alters if its rows have become too large. Raises ServerError."""
    try:
        session.execute(statement)
    except ServerError as error:
        if error.errno == _TOO_LARGE_ROW and (altered := _ALTERED.match(statement)):
            session.execute(f"ALTER TABLE {altered[1]} FORCE")
        raise
