"""Change the sample shop in a thread, as customers would, while the shop is copied and streamed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from random import Random

from replica_cli.core.errors import ReplicaError
from replica_cli.core.settings import Network, Server
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.session import Session, connect
from replica_cli.sandbox.purchases import WEIGHTS
from replica_cli.sandbox.shop import SCHEMA
from replica_cli.stop import StopToken

_NETWORK = Network(connect_timeout=5.0, query_timeout=60.0)


@dataclass(frozen=True, slots=True)
class WriterCounts:
    """What a writer has done. `rows` does not count the rows that foreign keys changed."""

    transactions: int = 0
    rows: int = 0
    rollbacks: int = 0
    retries: int = 0
    reconnects: int = 0


class ShopWriter:
    """A thread that writes random but valid transactions until it is stopped.

    The same seed on the same data makes the same statements. After a deadlock or a lost connection the writer continues
    with another transaction, as an application would. Any other error ends the thread, and `stop` raises it.
    """

    def __init__(
        self, server: Server, schema: str = SCHEMA, *, seed: int | None = None, pause_seconds: float = 0.0
    ) -> None:
        self._server = server
        self._schema = schema
        self._chance = Random(seed)
        self._pause_seconds = pause_seconds
        self._stop = StopToken()
        self._counts = WriterCounts()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"shop writer {schema}", daemon=True)

    @property
    def counts(self) -> WriterCounts:
        """Return what the writer has done so far."""
        return self._counts

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> WriterCounts:
        """Stop after the current transaction and return the counts.

        Raises:
            Exception: the error that ended the thread, if there is one.
        """
        self._stop.request()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._counts

    def wait_for(self, transactions: int, *, patience_seconds: float = 30.0) -> None:
        """Wait until `transactions` more transactions are committed, or the thread has ended.

        Raises:
            ReplicaError: that takes longer than `patience_seconds`.
            Exception: the error that ended the thread.
        """
        wanted = self._counts.transactions + transactions
        deadline = time.monotonic() + patience_seconds
        while self._counts.transactions < wanted and self._thread.is_alive():
            if time.monotonic() > deadline:
                raise ReplicaError(f"{self._server}: the writer did not make {transactions} transactions in time")
            self._stop.wait(0.01)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        session: Session | None = None
        try:
            while not self._stop.is_set:
                try:
                    session = session or connect(self._server, _NETWORK, database=self._schema)
                    self._write(session)
                except ServerError as error:
                    # The next round makes another transaction: nothing is tried again.
                    session = self._recover(error, session)
                self._stop.wait(self._pause_seconds)
        except Exception as error:  # noqa: BLE001  the top of a thread: stop() raises it
            self._error = error
        finally:
            if session is not None:
                session.close()

    def _write(self, session: Session) -> None:
        (action,) = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        session.begin()
        rows = action(session, self._chance)
        counts = self._counts
        if self._chance.random() < 0.02:
            session.rollback()
            self._counts = replace(counts, rollbacks=counts.rollbacks + 1)
        else:
            session.commit()
            self._counts = replace(counts, transactions=counts.transactions + 1, rows=counts.rows + rows)

    def _recover(self, error: ServerError, session: Session | None) -> Session | None:
        if error.remedy is Remedy.RETRY and session is not None:
            session.rollback()
            self._counts = replace(self._counts, retries=self._counts.retries + 1)
            return session
        if error.remedy is not Remedy.RECONNECT:
            raise error
        if session is not None:
            session.close()
            self._counts = replace(self._counts, reconnects=self._counts.reconnects + 1)
        self._stop.wait(0.1)
        return None
