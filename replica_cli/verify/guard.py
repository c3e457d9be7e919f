"""Spare the servers: say when a comparison must wait because one of them is busy, or because the stream is behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.status import STREAMING_PHASES
from replica_cli.core.wording import duration
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from replica_cli.checkpoint.beats import BeatStore
    from replica_cli.core.settings import VerifySettings
    from replica_cli.mysql.session import Session

_STATUS = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_running', 'Innodb_history_list_length')"
# MySQL does not have the length of the history in its status. Reading it needs the privilege PROCESS.
_HISTORY = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'trx_rseg_history_len'"
# A heartbeat that is older says nothing about the lag.
_BEAT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """When a comparison waits.

    Attributes:
        lag_seconds: the stream is further behind than this.
        threads: a server runs more statements than this at the same time.
        history: a server has more old row versions than this to remove (the history list of InnoDB).
    """

    lag_seconds: float
    threads: int
    history: int


def limits_of(settings: VerifySettings) -> LoadLimits:
    """Return the limits of the settings."""
    return LoadLimits(settings.max_lag_seconds, settings.max_threads, settings.max_history)


class LoadGuard:
    """Looks at both servers. It has sessions of its own, because those of a comparison are inside a snapshot."""

    def __init__(self, primary: Session, secondary: Session, beats: BeatStore, limits: LoadLimits) -> None:
        """Take the sessions.

        Args:
            primary: a session to the primary.
            secondary: a session to the secondary.
            beats: reads the heartbeat of the stream.
            limits: when a comparison waits.
        """
        self._servers = (primary, secondary)
        self._beats = beats
        self._limits = limits
        self._without_history: set[Session] = set()

    def reason(self) -> str:
        """Return why a comparison must wait, an empty text if nothing speaks against going on.

        A stream that is stopped or paused has no lag that counts: its position does not move. Raises ServerError.
        """
        lag = self._lag()
        if lag is not None and lag > self._limits.lag_seconds:
            return f"the stream is {duration(lag)} behind"
        for session in self._servers:
            status = {str(name).lower(): int(value) for name, value in session.rows(_STATUS)}
            threads = status.get("threads_running", 0)
            if threads > self._limits.threads:
                return f"{session.server.name} runs {threads} statements at the same time"
            history = status.get("innodb_history_list_length", -1)
            history = self._history(session) if history < 0 else history
            if history > self._limits.history:
                return f"{session.server.name} has {history} old row versions to remove"
        return ""

    def _lag(self) -> float | None:
        beat = self._beats.load()
        if beat is None or beat.age_seconds > _BEAT_SECONDS or beat.phase not in STREAMING_PHASES:
            return None
        lag = beat.snapshot.get("lag_seconds")
        return float(lag) if isinstance(lag, int | float) else None

    def _history(self, session: Session) -> int:
        if session in self._without_history:
            return 0
        count = _read_history(session)
        if count is None:
            self._without_history.add(session)
        return count or 0


def unlimited_history(session: Session) -> str:
    """Return why the number of old row versions cannot limit a comparison, empty if it can. Raises ServerError."""
    if session.is_mariadb or _read_history(session) is not None:
        return ""
    return (
        f"{session.server.name}: the comparison does not wait while there are many old row versions, because this user "
        "may not count them (GRANT PROCESS ON *.* TO this user)"
    )


def _read_history(session: Session) -> int | None:
    """Return how many old row versions MySQL has to remove, None if the user may not know it."""
    try:
        row = session.row(_HISTORY)
    except ServerError as error:
        if error.is_connection_lost:
            raise
        return None
    return int(row[0]) if row else 0
