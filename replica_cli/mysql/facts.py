"""Read what a server is: flavour, version, identity, and the variables that decide what can be done with it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


@dataclass(frozen=True)
class ServerFacts:
    """What a server says about itself, read once for each connection. `variables` are global, by lower-case names."""

    is_mariadb: bool
    version: tuple[int, int, int]
    version_text: str
    server_id: int
    identity: str
    variables: dict[str, str] = field(repr=False)

    @property
    def flavour(self) -> str:
        """Return the product's name."""
        return "MariaDB" if self.is_mariadb else "MySQL"

    @property
    def has_gtids(self) -> bool:
        """Return True if transactions carry GTIDs (MariaDB's always do)."""
        return self.is_mariadb or self.variables.get("gtid_mode", "OFF").upper() == "ON"

    @property
    def logs_cascades(self) -> bool:
        """Return True if the binary log contains the rows that a foreign key cascades to.

        MySQL since 9.6 logs them, unless innodb_native_foreign_keys leaves the cascade to the storage engine, as older
        releases do. The variable is read-only and set when the server starts. For events that are already in the log,
        the row events themselves say it (CASCADES_ARE_LOGGED): the server may have been restarted with the other
        setting since then.
        """
        is_native = self.is_on("innodb_native_foreign_keys")
        return not self.is_mariadb and self.version >= (9, 6, 0) and not is_native

    @property
    def max_allowed_packet(self) -> int:
        """Return the size of the largest packet that the server accepts, in bytes."""
        return int(self.variables.get("max_allowed_packet", 16 * 1024 * 1024))

    @property
    def lower_case_table_names(self) -> int:
        """Return how the server spells table names: 0 as given, 1 lower-case, 2 as given and compared in lower case."""
        return int(self.variables.get("lower_case_table_names", 0))

    def is_on(self, variable: str) -> bool:
        """Return True if a boolean variable is on."""
        return self.variables.get(variable, "").upper() in ("ON", "1", "TRUE")

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.version))}"


# The facts that were read last on each connection.
_last_facts: WeakKeyDictionary[Session, ServerFacts] = WeakKeyDictionary()


def known_facts(session: Session) -> ServerFacts:
    """Return the facts that were read last on this connection, or read them if there are none.

    For a task whose connection has just been opened: facts of an older connection may be out of date.
    """
    return _last_facts.get(session) or read_facts(session)


def read_facts(session: Session) -> ServerFacts:
    """Read the facts of a server."""
    variables = {str(n).lower(): str(v) for n, v in session.texts("SHOW GLOBAL VARIABLES")}
    version_text = variables["version"]
    numbers = re.findall(r"\d+", version_text)[:3]
    is_mariadb = session.is_mariadb or "mariadb" in version_text.lower()
    server_id = int(variables["server_id"])
    # MariaDB before 11 has no server_uuid, but its GTIDs contain its server id.
    identity = f"server-id:{server_id}" if is_mariadb else f"uuid:{variables['server_uuid']}"
    major, minor, patch = (int(n) for n in numbers)
    facts = ServerFacts(is_mariadb, (major, minor, patch), version_text, server_id, identity, variables)
    _last_facts[session] = facts
    return facts
