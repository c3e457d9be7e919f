"""`sent`: the packets that go to each server, counted where the driver sends them. Each waits for its answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql.connections
import pytest

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


@dataclass
class SentPackets:
    """Packets by the servers' ports."""

    counts: Counter[int] = field(default_factory=Counter)

    def forget(self) -> None:
        """Count from here on."""
        self.counts.clear()

    def of(self, server: SandboxServer) -> int:
        """Return the packets to a server since the last call, and forget them."""
        return self.counts.pop(server.address().port, 0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> SentPackets:
    """Count the packets of this process, from the start of the test."""
    packets = SentPackets()
    send = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def counted(connection: Any, *args: object) -> None:
        packets.counts[connection.port] += 1
        send(connection, *args)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", counted)
    return packets
