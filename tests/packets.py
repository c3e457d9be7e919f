"""Count the packets that go to servers: each waits for its answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql.connections

if TYPE_CHECKING:
    import pytest

    from replica_cli.sandbox.server import SandboxServer


@dataclass
class Sent:
    """Packets by the server's port."""

    counts: Counter[int] = field(default_factory=Counter)

    def of(self, server: SandboxServer) -> int:
        """Return what went to a server since the last question, and forget it."""
        return self.counts.pop(server.address().port, 0)


def sent_to(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Count from now on until the test ends."""
    sent = Sent()
    real = pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def counted(connection: Any, *args: object) -> None:
        sent.counts[connection.port] += 1
        real(connection, *args)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", counted)
    return sent
