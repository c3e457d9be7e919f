"""The programs that follow a primary while rows are written to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.bench import replica
from tests.bench.failure import RunFailed
from tests.bench.native import Native
from tests.bench.result import Timing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.rig import Rig


class Follower(Protocol):
    """Somebody who keeps the rig's secondary up to date until stopped."""

    def start(self, rig: Rig) -> None:
        """Begin to follow. Raises RunFailed."""

    def stop(self, rig: Rig) -> Timing:
        """End, and return what it cost. Raises RunFailed."""


@dataclass
class OursFollowing:
    """`replica stream`."""

    profile: Path | None = None
    _command: replica.Command | None = field(default=None, init=False)

    def start(self, rig: Rig) -> None:
        """Stream from before the log's begin."""
        replica.begin_at_start(rig)
        self._command = replica.start(rig, "stream", "--no-transfer", profile=replica.next_file(self.profile))
        self._command.wait_until_streaming()

    def stop(self, rig: Rig) -> Timing:  # noqa: ARG002 - a follower's signature
        """Ask it to end."""
        command, self._command = self._command, None
        if command is None:
            raise RunFailed("replica was not started")
        return command.stop()


@dataclass(frozen=True, slots=True)
class NativeFollowing:
    """The server's own replication, one applying thread."""

    def start(self, rig: Rig) -> None:
        """Start both of its threads."""
        with rig.secondary.session() as session:
            Native().point(session, rig)
            session.execute("START SLAVE" if session.is_mariadb else "START REPLICA")

    def stop(self, rig: Rig) -> Timing:
        """Stop both."""
        with rig.secondary.session() as session:
            session.execute("STOP SLAVE" if session.is_mariadb else "STOP REPLICA")
        return Timing(0.0)
