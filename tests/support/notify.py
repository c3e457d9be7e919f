"""A socket that takes what a service reports to systemd."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Note:
    """One datagram: its lines, and the monotonic time at which it came."""

    at: float
    lines: tuple[str, ...]


class NotifySocket:
    """Collects the notes that come while its context lasts. `address` is what NOTIFY_SOCKET has to be."""

    def __init__(self, folder: Path | None = None) -> None:
        """Listen in a folder, or without one in the abstract namespace."""
        name = f"notify-{uuid.uuid4().hex[:12]}"
        self.address = f"@replica-{name}" if folder is None else str(folder / name)
        self.notes: list[Note] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:] if folder is None else self.address)
        self._socket.settimeout(_POLL_SECONDS)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._collect, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(10)
        self._socket.close()

    @property
    def lines(self) -> list[str]:
        """Return the lines of all notes."""
        return [line for note in self.notes for line in note.lines]

    def count(self, line: str) -> int:
        """Return how often a line came."""
        return self.lines.count(line)

    def times(self, line: str) -> list[float]:
        """Return the times at which a line came."""
        return [note.at for note in self.notes if line in note.lines]

    def _collect(self) -> None:
        while not self._is_over.is_set():
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            self.notes.append(Note(time.monotonic(), tuple(data.decode().split("\n"))))
