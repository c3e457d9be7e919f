"""`asked`: the packets that go to each server, counted where the driver sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql.connections
import pytest

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


@dataclass
class Asked:
    """Packets by the servers' ports."""

    counts: dict[int, int]

    def of(self, server: SandboxServer) -> int:
        """Return the packets to a server since the last call, and forget them."""
        return self.counts.pop(server.address().port, 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Count the packets of this process."""
    counts: dict[int, int] = {}
    send = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def counted(connection: Any, *args: object) -> None:
        counts[connection.port] = counts.get(connection.port, 0) + 1
        send(connection, *args)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", counted)
    return Asked(counts)
