"""XA transactions: what a PREPARE logs is kept on the secondary until its COMMIT, and applied then.

The primary logs the changes at XA PREPARE, and others may commit, and servers and we may be restarted, before XA COMMIT
says that they count. Applied at PREPARE they would be seen too early, and could not be taken back at XA ROLLBACK; held
in memory, the saved position could not pass them. So they are written into the state schema in the transaction of the
position. Only chunks are in memory at a time; what limits a prepared transaction is the room on the secondary.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from replica_cli.core.errors import ApplyRefused
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.writer import Writer
    from replica_cli.checkpoint.prepared import PreparedStore
    from replica_cli.core.events import RowEvent, Statement, Transaction, XaStep

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 512 * 1024


class Keeping(Protocol):
    """Turns changes into bytes and back."""

    def pack(self, changes: Sequence[RowEvent | Statement]) -> bytes:
        """Return changes as bytes."""

    def begin(self) -> None:
        """Begin to unpack another transaction."""

    def unpack(self, data: bytes) -> list[RowEvent | Statement]:
        """Return the changes that are complete with these bytes."""

    def end(self) -> None:
        """Raise CorruptEvent where bytes are left over."""


class PreparedTransactions:
    """Keeps prepared transactions and gives them back, on one writer's session. `max_packet` is the secondary's."""

    def __init__(self, writer: Writer, store: PreparedStore, keeping: Keeping, *, max_packet: int) -> None:
        self._writer = writer
        self._store = store
        self._keeping = keeping
        # A chunk becomes a literal of twice its length.
        self._chunk_bytes = min(_CHUNK_BYTES, max_packet // 4)
        self._number = 0

    def keep(self, transaction: Transaction, step: XaStep, changes: Sequence[RowEvent | Statement]) -> None:
        """Write the changes of one piece of a prepared transaction."""
        if transaction.is_start:
            # Its place may be read again after `position reset`.
            self._writer.add(self._store.forget_statement(step.xid))
            self._writer.add(self._store.add_statement(step.xid, 0, b""))
            self._number = 1
        data = self._keeping.pack(changes)
        for at in range(0, len(data), self._chunk_bytes):
            chunk = data[at : at + self._chunk_bytes]
            self._writer.add(self._store.add_statement(step.xid, self._number, chunk))
            self._number += 1
        if transaction.is_end:
            log(
                logger, logging.INFO, Tag.INFO, "XA %s is prepared: kept until it is committed", step.xid,
                position=transaction.end,
            )  # fmt: skip

    def kept(self, transaction: Transaction, step: XaStep) -> Iterator[list[RowEvent | Statement]]:
        """Yield what was kept for a COMMIT, a portion at a time.

        Raises ApplyRefused where nothing was: nobody can tell what was in it.
        """
        self._keeping.begin()
        number = 0
        while True:
            # The answers of what was sent before must be in.
            self._writer.flush()
            chunk = self._store.chunk(step.xid, number)
            if chunk is None:
                break
            number += 1
            if changes := self._keeping.unpack(chunk):
                yield changes
        if not number:
            raise ApplyRefused(
                f"XA COMMIT {step.xid} at {transaction.start}: it was prepared before the position from which this "
                "secondary was made, so its changes are not known",
                hint="`replica transfer --restart` copies again once `XA RECOVER` on the primary is empty; `replica "
                f"position reset --to {transaction.end}` skips it knowingly",
            )
        self._keeping.end()

    def forget(self, step: XaStep) -> None:
        """Delete what was kept: it is committed or rolled back."""
        self._writer.add(self._store.forget_statement(step.xid))
