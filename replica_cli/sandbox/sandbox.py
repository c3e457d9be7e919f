"""Own throw-away servers and their folders, and remove all of them at the end."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from replica_cli.sandbox.binaries import ServerBinary, require_binary, temporary_folder
from replica_cli.sandbox.server import SandboxServer

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "replica-sandbox-"
_LOCK = "lock"


class Sandbox:
    """Servers and their folders. They end with the `with` block, or with the program.

    The next sandbox removes the folders of a killed program.
    """

    def __init__(self) -> None:
        self.servers: list[SandboxServer] = []
        self._folders: dict[Path, Path] = {}
        self._locks: list[int] = []
        atexit.register(self.close)

    @property
    def folder(self) -> Path:
        """Return the folder of this sandbox. Files in it are deleted with the sandbox."""
        return self._own_folder(temporary_folder())

    def add(
        self,
        binary: ServerBinary | None = None,
        *,
        name: str | None = None,
        options: Mapping[str, str | int | None] | None = None,
    ) -> SandboxServer:
        """Return a server that is not started. Without `binary` it is the MariaDB of this machine."""
        binary = binary or require_binary()
        number = len(self.servers) + 1
        folder = self._own_folder(binary.temporary_folder) / f"s{number}"
        folder.mkdir()
        server = SandboxServer(binary, folder, name=name or f"server{number}", server_id=1000 + number, options=options)
        self.servers.append(server)
        return server

    def start(
        self,
        binary: ServerBinary | None = None,
        *,
        name: str | None = None,
        options: Mapping[str, str | int | None] | None = None,
    ) -> SandboxServer:
        """Add a server, start it and wait until it answers.

        Raises:
            ReplicaError: the server does not start. The message has the end of its log.
        """
        server = self.add(binary, name=name, options=options)
        server.start()
        return server

    def start_all(self) -> None:
        """Start all servers that do not run, at the same time."""
        # Without threads, because a server ends with the thread that started it.
        waiting = [server for server in self.servers if not server.is_running]
        for server in waiting:
            server.launch()
        for server in waiting:
            server.wait_until_ready()

    def close(self) -> None:
        """End all servers and delete all folders. A second call does nothing."""
        atexit.unregister(self.close)
        for server in self.servers:
            server.remove()
        self.servers.clear()
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _own_folder(self, base: Path) -> Path:
        if base not in self._folders:
            _remove_orphans(base)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            folder.chmod(0o755)
            self._folders[base] = folder
            # The file is locked before it gets its name, so that no other process finds it unlocked.
            lock = os.open(folder / f".{_LOCK}", os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / f".{_LOCK}").rename(folder / _LOCK)
            self._locks.append(lock)
        return self._folders[base]


def _remove_orphans(base: Path) -> None:
    # The lock tells if the owner is alive. A process id does not: ids are reused, and other containers have their own.
    for lock_path in base.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            lock = os.open(lock_path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_path.parent, ignore_errors=True)
            finally:
                os.close(lock)
