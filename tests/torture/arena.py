"""The servers of a run: a primary and two secondaries, one for each engine, with a proxy on each of the four links."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError
from replica_cli.sandbox.binaries import Flavour, ServerBinary
from replica_cli.sandbox.sandbox import Sandbox
from tests.torture.disk import make_small_disk
from tests.torture.site import Post, Site
from tests.torture.tables import ROWS, SCHEMA, SCHEMAS, TABLES, account_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replica_cli.sandbox.server import SandboxServer
    from tests.torture.kinds import Kind

_ENGINES = {"db1": "sql", "db2": "row-image"}
_PRIMARY: dict[str, str | int | None] = {
    "max-binlog-size": "4M",
    "innodb-lock-wait-timeout": 3,
    "lock-wait-timeout": 10,
}
# No binary log of their own: with a full one MariaDB waits a minute before it looks again.
_SECONDARY: dict[str, str | int | None] = {"skip-log-bin": None, "innodb-lock-wait-timeout": 3, "lock-wait-timeout": 10}
_KEPT_LOGS = 12  # of 4 MB
_DISK_MEBIBYTES = {Flavour.MARIADB: 320, Flavour.MYSQL: 512}


class Arena:
    """Running servers with the tables in place; `folder` gets the logs. `is_shared`: one supervisor feeds both.

    `kinds` are those of the DDL statements that its primary can run.
    """

    def __init__(
        self, binary: ServerBinary, folder: Path, *, is_shared: bool = False, kinds: Sequence[Kind] = ()
    ) -> None:
        self.binary = binary
        self.kinds = tuple(k for k in kinds if binary.flavour is Flavour.MARIADB or not k.is_mariadb_only)
        self.folder = folder
        self.is_shared = is_shared
        self.sites: list[Site] = []
        self._sandbox = Sandbox()
        try:
            self.primary = self._sandbox.add(binary, name="primary", options=_PRIMARY)
            servers = {name: self._sandbox.add(binary, name=name, options=_SECONDARY) for name in _ENGINES}
            disks = {n: make_small_disk(s.folder, _DISK_MEBIBYTES[binary.flavour]) for n, s in servers.items()}
            post = Post("auto", self.primary, folder / "both", server_id=700) if is_shared else None
            for number, (name, engine) in enumerate(_ENGINES.items()):
                own = post or Post(engine, self.primary, folder / name, server_id=700 + 10 * number)
                self.sites.append(
                    Site(name, "auto" if post else engine, server=servers[name], post=own, disk=disks[name])
                )
            self._sandbox.start_all()
            for site in self.sites:
                # A port that somebody took at the start was changed.
                site.to_primary.target_port, site.to_secondary.target_port = self.primary.port, site.server.port
            self._furnish()
        except BaseException:
            self.close()
            raise

    @property
    def servers(self) -> tuple[SandboxServer, ...]:
        """Return all servers, the primary first."""
        return (self.primary, *(site.server for site in self.sites))

    def on_primary(self, *statements: str) -> None:
        """Run statements on the primary in the replicated schema."""
        with self.primary.session(database=SCHEMA) as session:
            for statement in statements:
                session.execute(statement)

    def primary_end(self) -> tuple[str, int]:
        """Return file and offset of the end of the primary's binary log."""
        with self.primary.session() as session:
            row = session.row("SHOW MASTER STATUS" if session.is_mariadb else "SHOW BINARY LOG STATUS")
            if row is None:  # the log is on
                raise AssertionError
            return str(row[0]), int(row[1])

    def mend(self) -> None:
        """Undo what faults left: networks, servers, disks, modes. Raises what a server's start raises."""
        for site in self.sites:
            for proxy in (site.to_primary, site.to_secondary):
                proxy.delay(0)
                proxy.thaw()
                proxy.cut_stranded()
                proxy.restore()
            if site.disk is not None:
                site.disk.empty()
        for server in self.servers:
            if server.is_running:
                server.thaw()
            if not self._answers(server):
                server.kill()
                server.start()
        for site in self.sites:
            set_read_only(site.server, is_on=False)

    def keep_evidence(self) -> None:
        """Copy the primary's last binary logs into the folder: what was to be applied."""
        for path in sorted(self.primary.data_path.glob("binlog.0*"))[-_KEPT_LOGS:]:
            shutil.copy(path, self.folder)

    def close(self) -> None:
        """End everything; the logs stay."""
        for site in self.sites:
            site.close()
        for server in self._sandbox.servers:
            with contextlib.suppress(OSError):
                (self.folder / f"{server.name}-error.log").write_text(server.log_tail(300))
            server.remove()
        for site in self.sites:
            if site.disk is not None:
                site.disk.close()
        self._sandbox.close()

    def _answers(self, server: SandboxServer) -> bool:
        if not server.is_running:
            return False
        try:
            with server.session() as session:
                return session.row("SELECT 1") is not None
        except ServerError:
            return False

    def _furnish(self) -> None:
        is_mariadb = self.binary.flavour is Flavour.MARIADB
        for server in self.servers:
            with server.session() as session:
                for statement in account_statements(is_mariadb=is_mariadb, is_primary=server is self.primary):
                    session.execute(statement)
        with self.primary.session() as session:
            for schema in SCHEMAS:
                session.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
        self.on_primary(*TABLES, *ROWS, *(statement for kind in self.kinds for statement in kind.setup))


def set_read_only(server: SandboxServer, *, is_on: bool) -> None:
    """Refuse writes of everybody but those with the privilege, which replica's account lacks."""
    with server.session() as session:
        session.execute(f"SET GLOBAL read_only = {int(is_on)}")
