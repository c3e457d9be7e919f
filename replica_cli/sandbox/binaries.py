"""Find server programs: those of this machine, and those in folders that hold the root of another distribution."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from replica_cli.core.errors import ConfigurationError

_NAMES = ("mariadbd", "mysqld")
_SHARES = ("/usr/share/mariadb", "/usr/share/mysql", "/usr/local/share/mariadb", "/usr/local/share/mysql")
# Distributions install servers in folders that are not in an ordinary user's PATH.
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin", "/usr/local/bin")


class Flavour(StrEnum):
    """The flavour of a server."""

    MARIADB = "mariadb"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program.

    Attributes:
        flavour: MariaDB or MySQL.
        version: three numbers, e.g. "10.11.6".
        path: the program; with `chroot`, its path inside that root.
        chroot: the root of another distribution in which the program must run, or None.
        share: the folder with MariaDB's own SQL files; with `chroot`, its path inside that root. None for MySQL.
    """

    flavour: Flavour
    version: str
    path: Path
    chroot: Path | None = None
    share: Path | None = None

    def __str__(self) -> str:
        return f"{self.flavour}:{self.version}"

    def command(self, program: Path) -> list[str]:
        """Return the words of a command that runs a program of this server, inside its root if it has one."""
        if self.chroot is None:
            return [str(program)]
        # The chroot program, not a function between fork and exec, which is unsafe in a process with threads.
        return ["chroot", str(self.chroot), str(program)]

    def inside(self, path: Path) -> str:
        """Return the path by which the server knows a path of this machine.

        Raises:
            ValueError: the path is outside of the server's root.
        """
        return str(path) if self.chroot is None else f"/{path.relative_to(self.chroot)}"

    def outside(self, path: Path) -> Path:
        """Return the path on this machine of a path inside the server's root."""
        return path if self.chroot is None else self.chroot / path.relative_to("/")

    @property
    def temporary_folder(self) -> Path:
        """Return the folder for the data of this server. It is inside the server's root."""
        return temporary_folder() if self.chroot is None else self.chroot / "tmp"


def cache_folder() -> Path:
    """Return the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251  the desktop's setting, not one of replica's
    return Path(base) if base else Path.home() / ".cache"


def temporary_folder() -> Path:
    """Return the folder for throw-away data. Its path is short, because a socket's path has at most 107 bytes."""
    base = os.environ.get("TMPDIR")  # noqa: TID251  the system's setting, not one of replica's
    return Path(base) if base else Path("/tmp")  # noqa: S108  folders in it come from mkdtemp


@cache
def find_binaries() -> tuple[ServerBinary, ...]:
    """Return all servers: first those of this machine, then those in the roots in the cache folder."""
    return (*_machine_binaries(), *(b for root in _cached_roots() if (b := root_binary(root))))


def select_binary(flavour: str, version: str | None = None) -> ServerBinary | None:
    """Return the first server of a flavour whose version begins with `version` (whole numbers), or None."""
    return next((b for b in find_binaries() if matches(b, flavour, version)), None)


def matches(binary: ServerBinary, flavour: str, version: str | None = None) -> bool:
    """Return True if a server is of a flavour and version. Version 10.1 means 10.1.x, not 10.11."""
    return binary.flavour == flavour and (not version or f"{binary.version}.".startswith(f"{version.rstrip('.')}."))


def require_binary(flavour: str = Flavour.MARIADB, version: str | None = None) -> ServerBinary:
    """Return a server of a flavour and version.

    Raises:
        ConfigurationError: this machine has none.
    """
    if (binary := select_binary(flavour, version)) is None:
        wanted = f"{flavour} {version}" if version else flavour
        raise ConfigurationError(
            (f"no server program found for {wanted}",),
            hint="install the package `mariadb-server-core`, or a similar one",
        )
    return binary


def root_binary(root: Path) -> ServerBinary | None:
    """Return the server in a distribution's root folder, or None if it has none or this process may not use chroot."""
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        return None
    for folder in _FOLDERS:
        for name in _NAMES:
            path = Path(folder, name)
            if (root / path.relative_to("/")).is_file():
                return _identified(path, root)
    return None


def _machine_binaries() -> tuple[ServerBinary, ...]:
    binaries: dict[Path, ServerBinary] = {}
    search = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))  # noqa: TID251  the system's setting
    for name in _NAMES:
        where = shutil.which(name, path=search)
        # mysqld is often a link to mariadbd, and then both are one server.
        real = Path(where).resolve() if where else None
        if real and real not in binaries and (binary := _identified(real, None)):
            binaries[real] = binary
    return tuple(binaries.values())


def _cached_roots() -> list[Path]:
    folder = cache_folder() / "replica-servers"
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _identified(path: Path, root: Path | None) -> ServerBinary | None:
    words = ServerBinary(Flavour.MYSQL, "", path, root).command(path)
    answer = subprocess.run([*words, "--no-defaults", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"Ver (\d+\.\d+\.\d+)", answer.stdout)
    if version is None:
        return None
    if "mariadb" not in answer.stdout.lower():
        return ServerBinary(Flavour.MYSQL, version[1], path, root)
    return ServerBinary(Flavour.MARIADB, version[1], path, root, _share(path, root))


def _share(path: Path, root: Path | None) -> Path | None:
    # A binary release that is unpacked in any folder has its files next to the program's folder.
    candidates = [path.parent.parent / "share", path.parent.parent / "share" / "mysql", *map(Path, _SHARES)]
    base = root or Path("/")
    return next((p for p in candidates if list((base / p.relative_to("/")).glob("*_system_tables.sql"))), None)
