"""The pairs of servers that the coverage table has, and the engines that can serve each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary

PAIRS = (
    ("mariadb:10.11", "mariadb:10.11"), ("mariadb:11.8", "mariadb:11.8"), ("mariadb:10.11", "mariadb:11.8"),
    ("mariadb:11.8", "mariadb:10.11"), ("mysql:9.7", "mysql:9.7"), ("mariadb:10.11", "mysql:9.7"),
    ("mysql:9.7", "mariadb:10.11"),
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One pair and one engine."""

    primary: str
    secondary: str
    engine: str

    @property
    def pair(self) -> tuple[str, str]:
        return (self.primary, self.secondary)

    def __str__(self) -> str:
        return f"{self.primary}→{self.secondary} {self.engine}"


def engines(pair: tuple[str, str]) -> tuple[str, ...]:
    """Return the engines that can serve a pair: row images need one flavour on both sides."""
    return ("row-image", "sql") if pair[0].partition(":")[0] == pair[1].partition(":")[0] else ("sql",)


RUNS = tuple(Run(*pair, engine) for pair in PAIRS for engine in engines(pair))


def label(binary: ServerBinary) -> str:
    """Return a server's name as the pairs have it."""
    return f"{binary.flavour}:{'.'.join(binary.version.split('.')[:2])}"


def heads() -> list[str]:
    """Return the heads of the table's columns."""
    return [f"{_spoken(primary)} → {_spoken(secondary)}" for primary, secondary in PAIRS]


def _spoken(server: str) -> str:
    flavour, _, version = server.partition(":")
    return f"{'MariaDB' if flavour == 'mariadb' else 'MySQL'} {version}"
