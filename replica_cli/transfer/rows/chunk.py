"""Chunks, and the thread that reads them: the primary formats the next chunk while the current one is written."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Chunk:
    """The rows of one chunk, as VALUES lists; each list is written by a statement of its own.

    `last_key` is the key of the last row, None if the range ends with this chunk. `holds_enum_zero`: an ENUM holds
    index 0, which a strict session refuses. `digest` is the answer to `digest_query` for `condition` on the primary,
    empty if no digest was read.
    """

    values: tuple[bytes, ...]
    row_count: int
    last_key: KeyLiterals | None = None
    is_last: bool = False
    holds_enum_zero: bool = False
    condition: str = ""
    digest: tuple[object, ...] = ()

    @property
    def byte_count(self) -> int:
        """Return the total length of the VALUES lists in bytes."""
        return sum(map(len, self.values))


class Prefetch:
    """A thread that reads one chunk ahead.

    Enter the context, then iterate: an error of the thread is raised by the iteration. If the iteration ends early, the
    reading session is cut and cannot be used any more (`is_cut`).
    """

    def __init__(self, chunks: Iterator[Chunk], session: Session) -> None:
        self._chunks = chunks
        self._session = session
        self._queue: queue.Queue[Chunk | BaseException | None] = queue.Queue(maxsize=1)
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transfer-reader", daemon=True)
        self.is_cut = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[Chunk]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def __exit__(self, *_: object) -> None:
        self._is_cancelled.set()
        if self._thread.is_alive() and not self._has_ended():
            self.is_cut = True
            self._session.abort()
        self._thread.join()

    def _has_ended(self) -> bool:
        # The thread puts its last item into the queue and ends a moment later.
        self._thread.join(0.01)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if not self._put(chunk):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that iterates, which decides
            self._put(error)

    def _put(self, item: Chunk | BaseException | None) -> bool:
        while not self._is_cancelled.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False
