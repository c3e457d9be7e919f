"""Where server binaries are: on this machine, or in a folder that holds another distribution's root."""

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
# Distributions keep servers out of an ordinary user's PATH.
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin", "/usr/local/bin")


class Flavour(StrEnum):
    """Which family a server is of."""

    MARIADB = "mariadb"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program; with `chroot`, `path` and `share` (MariaDB's own SQL files) are paths below that root."""

    flavour: Flavour
    version: str
    path: Path
    chroot: Path | None = None
    share: Path | None = None

    def __str__(self) -> str:
        return f"{self.flavour}:{self.version}"

    def command(self, program: Path) -> list[str]:
        """Return the words that run a program of this server, inside its root if it has one."""
        if self.chroot is None:
            return [str(program)]
        # The chroot program, not a function between fork and exec: that is unsafe where there are threads.
        return ["chroot", str(self.chroot), str(program)]

    def inside(self, path: Path) -> str:
        """Return how the server spells a path of ours. Raises ValueError for one outside its root."""
        return str(path) if self.chroot is None else f"/{path.relative_to(self.chroot)}"

    def outside(self, path: Path) -> Path:
        """Return where a path of the server's root really is."""
        return path if self.chroot is None else self.chroot / path.relative_to("/")

    @property
    def temporary_folder(self) -> Path:
        """Return the folder in which this server's data may lie: its own root must contain it."""
        return temporary_folder() if self.chroot is None else self.chroot / "tmp"


def cache_folder() -> Path:
    """Return the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251  the desktop's setting, not one of replica's
    return Path(base) if base else Path.home() / ".cache"


def temporary_folder() -> Path:
    """Return the folder for throw-away data: short, because a socket's path has at most 107 bytes."""
    base = os.environ.get("TMPDIR")  # noqa: TID251  the system's setting, not one of replica's
    return Path(base) if base else Path("/tmp")  # noqa: S108  folders in it come from mkdtemp


@cache
def find_binaries() -> tuple[ServerBinary, ...]:
    """Return every server found: this machine's first, then those in the cache's roots."""
    return (*_machine_binaries(), *(b for root in _cached_roots() if (b := root_binary(root))))


def select_binary(flavour: str, version: str | None = None) -> ServerBinary | None:
    """Return the first server of a flavour whose version begins with `version` (whole numbers), None without one."""
    return next((b for b in find_binaries() if matches(b, flavour, version)), None)


def matches(binary: ServerBinary, flavour: str, version: str | None = None) -> bool:
    """Say whether a server is of a flavour and version: 10.1 means 10.1.x, not 10.11."""
    return binary.flavour == flavour and (not version or f"{binary.version}.".startswith(f"{version.rstrip('.')}."))


def require_binary(flavour: str = Flavour.MARIADB, version: str | None = None) -> ServerBinary:
    """Return a server of a flavour and version. Raises ConfigurationError where there is none."""
    if (binary := select_binary(flavour, version)) is None:
        wanted = f"{flavour} {version}" if version else flavour
        raise ConfigurationError(
            (f"no server program found for {wanted}",), hint="install the package `mariadb-server-core`, or its like"
        )
    return binary


def root_binary(root: Path) -> ServerBinary | None:
    """Return the server in a distribution's root folder, None where there is none or we may not change root."""
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        return None
    for folder in _FOLDERS:
        for name in _NAMES:
            path = Path(folder, name)
            if (root / path.relative_to("/")).is_file():
                return _introduced(path, root)
    return None


def _machine_binaries() -> tuple[ServerBinary, ...]:
    found: dict[Path, ServerBinary] = {}
    search = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))  # noqa: TID251  the system's setting
    for name in _NAMES:
        where = shutil.which(name, path=search)
        # mysqld is often a link to mariadbd: one server, not two.
        real = Path(where).resolve() if where else None
        if real and real not in found and (binary := _introduced(real, None)):
            found[real] = binary
    return tuple(found.values())


def _cached_roots() -> list[Path]:
    folder = cache_folder() / "replica-servers"
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _introduced(path: Path, root: Path | None) -> ServerBinary | None:
    words = ServerBinary(Flavour.MYSQL, "", path, root).command(path)
    answer = subprocess.run([*words, "--no-defaults", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"Ver (\d+\.\d+\.\d+)", answer.stdout)
    if version is None:
        return None
    if "mariadb" not in answer.stdout.lower():
        return ServerBinary(Flavour.MYSQL, version[1], path, root)
    return ServerBinary(Flavour.MARIADB, version[1], path, root, _share(path, root))


def _share(path: Path, root: Path | None) -> Path | None:
    # A binary release unpacked anywhere has its files beside the program's folder.
    places = [path.parent.parent / "share", path.parent.parent / "share" / "mysql", *map(Path, _SHARES)]
    base = root or Path("/")
    return next((p for p in places if list((base / p.relative_to("/")).glob("*_system_tables.sql"))), None)
