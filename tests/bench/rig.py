"""A primary with a written binary log, and a secondary that each run starts again from the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour
from replica_cli.sandbox.options import Options, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.sandbox import Sandbox
    from replica_cli.sandbox.server import SandboxServer

# On both sides and for every contestant, above what each sandbox server has.
SETTINGS: Mapping[Flavour, Options] = {
    Flavour.MARIADB: {"innodb-buffer-pool-size": "512M", "innodb-log-file-size": "256M"},
    Flavour.MYSQL: {"innodb-buffer-pool-size": "512M", "innodb-redo-log-capacity": "256M"},
}
DURABILITIES: Mapping[str, Options] = {
    "safe": {"innodb-flush-log-at-trx-commit": 1, "sync-binlog": 1},
    "fast": {"innodb-flush-log-at-trx-commit": 2, "sync-binlog": 0},
}
_NO_LOG: Options = {"skip-log-bin": None}
# Each program logs what it applies. Otherwise the native replica would have less to write than `replica`.
_OWN_LOG: Mapping[Flavour, Options] = {
    Flavour.MARIADB: {"log-slave-updates": None},
    Flavour.MYSQL: {"log-replica-updates": None},
}


# A table's checksum and its number of rows.
Sum = tuple[object, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the primary's binary log."""

    file: str
    pos: int

    def __str__(self) -> str:
        return f"{self.file}:{self.pos}"


class Rig:
    """The servers of one work. `load`, then `write`; then `renew_secondary` before each run."""

    def __init__(
        self,
        sandbox: Sandbox,
        binary: ServerBinary,
        schema: str,
        *,
        has_secondary_log: bool,
        options: Mapping[str, str | int | None] | None = None,
        secondary_options: Mapping[str, str | int | None] | None = None,
    ) -> None:
        self.schema = schema
        self.folder = sandbox.folder
        self.binary = binary
        self._settings = merged(dict(SETTINGS[binary.flavour]), options or {})
        log = _OWN_LOG[binary.flavour] if has_secondary_log else _NO_LOG
        self._secondary_options = merged(merged(self._settings, log), secondary_options or {})
        self.primary = sandbox.add(binary, name="primary")
        self.secondary = sandbox.add(binary, name="secondary")
        self._base = self.secondary.folder / "base"
        self.start = self.end = Place("", 0)
        self.transactions = 0
        self.checksums: dict[str, Sum] = {}

    def load(self, load: Callable[[SandboxServer], None]) -> None:
        """Fill the primary without a log, and keep its files: the data that every secondary begins with."""
        self.primary.options = merged(self._settings, {**DURABILITIES["fast"], **_NO_LOG})
        self.primary.start()
        with self.primary.session() as session:
            session.execute(f"CREATE DATABASE `{self.schema}`")
        load(self.primary)
        self.primary.stop()
        _copy(self.primary.data_path, self._base)
        (self._base / "auto.cnf").unlink(missing_ok=True)
        self.primary.options = merged(self._settings, DURABILITIES["fast"])
        self.primary.start()
        self.start = self.place()

    def write(self, write: Callable[[SandboxServer], int]) -> None:
        """Let `write` make the log; remember its end, how many transactions it says it made, and the tables' sums."""
        self.transactions = write(self.primary)
        self.end = self.place()
        self.checksums = checksums(self.primary, self.schema)

    @property
    def is_mariadb(self) -> bool:
        """Say which flavour both servers are of."""
        return self.binary.flavour is Flavour.MARIADB

    def place(self) -> Place:
        """Return the end of the primary's log."""
        with self.primary.session() as session:
            row = session.row("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")
        assert row is not None, "the primary has no binary log"
        return Place(str(row[0]), int(row[1]))

    def renew_secondary(self, durability: str, *, is_empty: bool = False) -> None:
        """Start the secondary again from the data before the log, or from nothing.

        Connections of an earlier run to the primary end: the server notices late that its client is gone.
        """
        with self.primary.session() as session:
            for number, command in session.rows("SELECT id, command FROM information_schema.processlist"):
                if str(command).startswith("Binlog Dump"):
                    session.execute(f"KILL {number}")
        if self.secondary.is_running:
            self.secondary.kill()
        shutil.rmtree(self.secondary.data_path, ignore_errors=True)
        if not is_empty:
            (self.secondary.folder / "tmp").mkdir(exist_ok=True)
            _copy(self._base, self.secondary.data_path)
        self.secondary.options = merged(self._secondary_options, DURABILITIES[durability])
        self.secondary.start()
        # The copy's dirty pages belong to no contestant: they are on the disk before the clock starts.
        os.sync()

    def log_text(self) -> str:
        """Return how much was logged."""
        size = f"{self.transactions} transactions, {(self.end.pos - self.start.pos) / 1e6:.0f} MB of log; "
        rows = {name: count for name, (_, count) in self.checksums.items()}
        return (size if self.transactions else "") + f"{sum(rows.values())} rows in {len(rows)} tables at its end"

    def settings_text(self) -> str:
        """Return what both servers were started with beyond a sandbox's own settings."""
        return " ".join(f"{k}={v}" if v is not None else k for k, v in self._secondary_options.items())


def checksums(server: SandboxServer, schema: str) -> dict[str, Sum]:
    """Return CHECKSUM TABLE of each table: equal for equal rows on servers of one version."""
    with server.session() as session:
        return {table: _checksum(session, schema, table) for table in _tables(session, schema)}


def difference(rig: Rig) -> str:
    """Return which tables of the secondary differ from the primary's, nothing where all are equal."""
    found = checksums(rig.secondary, rig.schema)
    return "; ".join(
        f"{table} differs: {rig.checksums.get(table)} on the primary, {found.get(table)} on the secondary"
        for table in sorted(rig.checksums | found)
        if rig.checksums.get(table) != found.get(table)
    )


def _tables(session: Session, schema: str) -> list[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
    return [str(name) for (name,) in session.rows(sql, schema)]


def _checksum(session: Session, schema: str, table: str) -> Sum:
    row = session.row(f"CHECKSUM TABLE `{schema}`.`{table}` EXTENDED")
    count = session.row(f"SELECT COUNT(*) FROM `{schema}`.`{table}`")
    assert row is not None
    assert count is not None
    return (row[1], int(count[0]))


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)
