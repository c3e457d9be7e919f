"""Keeps the changes of an XA PREPARE in the state schema, and returns them at XA COMMIT, when the applier applies them.

The primary logs the changes at XA PREPARE. Between that and XA COMMIT other transactions may commit, and servers and
this process may be restarted. Changes that were applied at PREPARE would be visible too early, and could not be taken
back at XA ROLLBACK. Changes that were held in memory would keep the saved position before the PREPARE. So they are
written into the state schema, in the transaction of the position. Only one piece or chunk at a time is in memory; the
limit for a prepared transaction is the disk of the secondary.
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


class ChangesCodec(Protocol):
    """Converts changes to bytes and back (`reader.prepared_changes.PreparedChangesCodec`)."""

    def pack(self, changes: Sequence[RowEvent | Statement]) -> bytes:
        """Return changes as bytes."""

    def begin(self) -> None:
        """Begin to unpack the bytes of another transaction."""

    def unpack(self, data: bytes) -> list[RowEvent | Statement]:
        """Return the changes that end in these bytes; the rest waits for the next bytes. Raises CorruptEvent."""

    def end(self) -> None:
        """Raise CorruptEvent if bytes are left over."""


class PreparedTransactions:
    """Keeps prepared transactions and returns them. One applier uses it, on the session of its writer.

    `max_packet` is the secondary's max_allowed_packet, in bytes.
    """

    def __init__(self, writer: Writer, store: PreparedStore, codec: ChangesCodec, *, max_packet: int) -> None:
        self._writer = writer
        self._store = store
        self._codec = codec
        # A chunk becomes a literal of twice its length.
        self._chunk_bytes = min(_CHUNK_BYTES, max_packet // 4)
        self._number = 0

    def keep(self, transaction: Transaction, step: XaStep, changes: Sequence[RowEvent | Statement]) -> None:
        """Write the changes of one piece of a prepared transaction to the state schema."""
        if transaction.is_start:
            # After `position reset` the same PREPARE may be read again: what was kept before is replaced.
            self._writer.add(self._store.forget_statement(step.xid))
            self._writer.add(self._store.add_statement(step.xid, 0, b""))
            self._number = 1
        data = self._codec.pack(changes)
        for start in range(0, len(data), self._chunk_bytes):
            chunk = data[start : start + self._chunk_bytes]
            self._writer.add(self._store.add_statement(step.xid, self._number, chunk))
            self._number += 1
        if transaction.is_end:
            log(
                logger, logging.INFO, Tag.INFO, "XA %s is prepared: its changes are kept until it is committed",
                step.xid, position=transaction.end,
            )  # fmt: skip

    def kept(self, transaction: Transaction, step: XaStep) -> Iterator[list[RowEvent | Statement]]:
        """Yield the changes that were kept for an XA COMMIT, in portions: what ends in one chunk of the kept bytes.

        Raises:
            ApplyRefused: if none were kept, so that the changes of the transaction are unknown.
            CorruptEvent: if the kept bytes are not whole changes.

        """
        self._codec.begin()
        number = 0
        while True:
            # The query runs on the writer's session: all answers to what was sent before must be read first.
            self._writer.flush()
            chunk = self._store.chunk(step.xid, number)
            if chunk is None:
                break
            number += 1
            if changes := self._codec.unpack(chunk):
                yield changes
        if not number:
            raise ApplyRefused(
                f"XA COMMIT {step.xid} at {transaction.start}: it was prepared before the position from which this "
                "secondary was made, so its changes are not known",
                hint="once `XA RECOVER` on the primary is empty, `replica transfer --restart` copies all tables again; "
                f"`replica position reset --to {transaction.end}` skips it, and its changes are lost",
            )
        self._codec.end()

    def forget(self, step: XaStep) -> None:
        """Delete what was kept for a transaction: it is committed or rolled back."""
        self._writer.add(self._store.forget_statement(step.xid))
