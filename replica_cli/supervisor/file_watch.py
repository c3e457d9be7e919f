"""Watch files for changes, in a thread: the content that a path leads to is another one than before.

It looks at each path once a second and needs no notification of the file system: those miss changes on network file
systems, and files that are replaced through a link, as Kubernetes replaces mounted configuration.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_SECONDS = 1.0
_Signature = tuple[int, int, int] | None


class FileWatch:
    """Calls a function after a file has changed, while its context lasts. A missing file is one without content.

    A change is reported when it is followed by a look without another one, so that a file is not read half written.

    Args:
        paths: the files.
        on_change: called from the thread of the watch.
        seconds: the time between two looks.

    """

    def __init__(self, paths: Sequence[Path], on_change: Callable[[], None], *, seconds: float = _SECONDS) -> None:
        self._paths = tuple(paths)
        self._on_change = on_change
        self._seconds = seconds
        self._end = StopToken()
        self._reported = self._look()
        self._thread = threading.Thread(target=self._run, name="file watch", daemon=True)

    def __enter__(self) -> Self:
        if self._paths:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.request()
        if self._paths:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        last = self._reported
        while not self._end.wait(self._seconds):
            seen = self._look()
            if seen == last != self._reported:
                self._reported = seen
                self._on_change()
            last = seen

    def _look(self) -> tuple[_Signature, ...]:
        return tuple(map(_signature, self._paths))


def _signature(path: Path) -> _Signature:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
