"""What a server is: flavour, version, identity, and the variables that decide what can be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


@dataclass(frozen=True)
class ServerFacts:
    """A server's answers, read once a connection. `variables` are global ones, lower-case names."""

    is_mariadb: bool
    version: tuple[int, int, int]
    version_text: str
    server_id: int
    identity: str
    variables: dict[str, str] = field(repr=False)

    @property
    def flavour(self) -> str:
        """Return the name that people use."""
        return "MariaDB" if self.is_mariadb else "MySQL"

    @property
    def has_gtids(self) -> bool:
        """Say whether transactions carry GTIDs (MariaDB's always do)."""
        return self.is_mariadb or self.variables.get("gtid_mode", "OFF").upper() == "ON"

    @property
    def logs_cascades(self) -> bool:
        """Say whether rows that a foreign key cascades to are in the binary log.

        MySQL from 9.6 on writes them, unless innodb_native_foreign_keys (read only, set at its start) leaves the
        cascade to the storage engine as before. What is in the log already, its row events say themselves
        (CASCADES_ARE_LOGGED): a restart with the other setting may lie between.
        """
        is_native = self.is_on("innodb_native_foreign_keys")
        return not self.is_mariadb and self.version >= (9, 6, 0) and not is_native

    @property
    def max_allowed_packet(self) -> int:
        """Return the largest packet the server takes, bytes."""
        return int(self.variables.get("max_allowed_packet", 16 * 1024 * 1024))

    @property
    def lower_case_table_names(self) -> int:
        """Return how the server spells table names: 0 as given, 1 lower-case, 2 as given and compared lower-case."""
        return int(self.variables.get("lower_case_table_names", 0))

    def is_on(self, variable: str) -> bool:
        """Say whether a boolean variable is on."""
        return self.variables.get(variable, "").upper() in ("ON", "1", "TRUE")

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.version))}"


# What was read last on a connection.
_known: WeakKeyDictionary[Session, ServerFacts] = WeakKeyDictionary()


def known_facts(session: Session) -> ServerFacts:
    """Return what was read last on this connection, or read it. For a task that has just opened the connection."""
    return _known.get(session) or read_facts(session)


def read_facts(session: Session) -> ServerFacts:
    """Ask a server what it is."""
    variables = {str(n).lower(): str(v) for n, v in session.texts("SHOW GLOBAL VARIABLES")}
    version_text = variables["version"]
    numbers = re.findall(r"\d+", version_text)[:3]
    is_mariadb = session.is_mariadb or "mariadb" in version_text.lower()
    server_id = int(variables["server_id"])
    # MariaDB has no server_uuid before 11; its server id is what its GTIDs carry.
    identity = f"server-id:{server_id}" if is_mariadb else f"uuid:{variables['server_uuid']}"
    major, minor, patch = (int(n) for n in numbers)
    facts = ServerFacts(is_mariadb, (major, minor, patch), version_text, server_id, identity, variables)
    _known[session] = facts
    return facts
