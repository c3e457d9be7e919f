"""The servers' own replication as a contestant.

A backlog is timed from the start of the applying thread on a relay log that is complete already: the reading of the
primary's log is part of replica's time and costs native replication nothing here. That is the harder bar.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.stop import StopToken
from tests.bench.failure import RunFailed
from tests.bench.result import Timing
from tests.bench.rig import Place

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.bench.rig import Rig

_PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Native:
    """A setting of the native replica; `mode` is MariaDB's slave_parallel_mode. 0 threads: one applies alone."""

    threads: int = 0
    mode: str = ""

    def prepare(self, rig: Rig) -> None:
        """Point the secondary to the primary and wait until its relay log holds the whole log."""
        with rig.secondary.session() as session:
            self.point(session, rig)
            session.execute("START SLAVE IO_THREAD" if session.is_mariadb else "START REPLICA IO_THREAD")
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while _read_place(session) < (rig.end.file, rig.end.pos):
                if time.monotonic() > deadline:
                    raise RunFailed(f"native: the relay log does not come: {_errors(session)}")
                StopToken().wait(0.05)

    def run(self, rig: Rig) -> Timing:
        """Apply the relay log."""
        with rig.secondary.session() as session:
            started = time.monotonic()
            start_applying(session)
            wait_for(session, rig.end)
            return Timing(time.monotonic() - started)

    def seconds_for_share(self, rig: Rig, share: float) -> float:
        """Apply the relay log's beginning only; return how long that took. For choosing among settings."""
        place = Place(rig.start.file, rig.start.pos + int((rig.end.pos - rig.start.pos) * share))
        with rig.secondary.session() as session:
            started = time.monotonic()
            start_applying(session)
            wait_for(session, place)
            return time.monotonic() - started

    def point(self, session: Session, rig: Rig) -> None:
        """Say where the primary is and how the log is to be applied."""
        address = rig.primary.address()
        given = {
            "HOST": f"'{address.host}'",
            "PORT": str(address.port),
            "USER": f"'{address.user}'",
            "PASSWORD": f"'{address.password.reveal()}'",
            "LOG_FILE": f"'{rig.start.file}'",
            "LOG_POS": str(rig.start.pos),
        }
        if session.is_mariadb:
            session.execute("CHANGE MASTER TO " + ", ".join(f"MASTER_{k}={v}" for k, v in given.items()))
            session.execute(f"SET GLOBAL slave_parallel_threads={self.threads}")
            if self.mode:
                session.execute(f"SET GLOBAL slave_parallel_mode='{self.mode}'")
        else:
            words = ", ".join(f"SOURCE_{k}={v}" for k, v in given.items())
            session.execute(f"CHANGE REPLICATION SOURCE TO {words}, GET_SOURCE_PUBLIC_KEY=1")
            session.execute(f"SET GLOBAL replica_parallel_workers={self.threads}")


def start_applying(session: Session) -> None:
    """Start the thread that applies the relay log."""
    session.execute("START SLAVE SQL_THREAD" if session.is_mariadb else "START REPLICA SQL_THREAD")


def wait_for(session: Session, place: Place) -> None:
    """Wait until the applying thread has reached a position. Raises RunFailed if it stops before."""
    function = "MASTER_POS_WAIT" if session.is_mariadb else "SOURCE_POS_WAIT"
    row = session.row(f"SELECT {function}('{place.file}', {place.pos}, {_PATIENCE_SECONDS})")
    if row is None or row[0] is None or int(row[0]) < 0:
        raise RunFailed(f"native: did not reach {place}: {_errors(session)}")


def _status(session: Session) -> dict[str, object]:
    return session.named_row("SHOW SLAVE STATUS" if session.is_mariadb else "SHOW REPLICA STATUS") or {}


def _read_place(session: Session) -> tuple[str, int]:
    status = _status(session)
    side = "master" if session.is_mariadb else "source"
    return str(status.get(f"{side}_log_file")), int(str(status.get(f"read_{side}_log_pos") or 0))


def _errors(session: Session) -> str:
    status = _status(session)
    return (
        " ".join(str(status.get(name) or "") for name in ("last_io_error", "last_sql_error")).strip() or "no error told"
    )
