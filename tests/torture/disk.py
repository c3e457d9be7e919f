"""A small disk: a tmpfs, if this process may mount one."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = b"\0" * 65536


class SmallDisk:
    """Mounted at a folder; filled and emptied by a ballast file. Raises OSError where mounting is not allowed."""

    def __init__(self, folder: Path, mebibytes: int) -> None:
        self._folder = folder
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "replica-torture", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OSError(done.stderr.strip())

    @property
    def _ballast(self) -> Path:
        return self._folder / "ballast"

    def fill(self) -> None:
        """Take what is free, to the last block."""
        with self._ballast.open("ab", buffering=0) as sink:
            try:
                while True:
                    sink.write(_BLOCK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Take the disk away with all that is on it."""
        with contextlib.suppress(OSError):
            self.empty()
        subprocess.run(["umount", "--lazy", str(self._folder)], capture_output=True, check=False)


def make_small_disk(folder: Path, mebibytes: int) -> SmallDisk | None:
    """Return a small disk at a folder, None where this process may not mount one."""
    if os.geteuid() != 0:
        return None
    try:
        return SmallDisk(folder, mebibytes)
    except OSError:
        return None
