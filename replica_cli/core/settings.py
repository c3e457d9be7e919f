"""Frozen settings: what the environment and the command line decide, once, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.differences import AcceptedDrift
    from replica_cli.core.selection import Selection


class Secret:
    """A password that shows itself to nobody who does not ask."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself: only for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class TlsMode(StrEnum):
    """How sure a connection must be of its server, weakest first."""

    OFF = "off"
    PREFERRED = "preferred"
    REQUIRED = "required"
    VERIFY_CA = "verify-ca"
    VERIFY_IDENTITY = "verify-identity"


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS to one side; paths are PEM files."""

    mode: TlsMode = TlsMode.PREFERRED
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is and how to log in; `name` is what logs and people call it."""

    name: str
    host: str
    port: int
    user: str
    password: Secret
    tls: Tls = Tls()
    is_primary: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"


class DdlPolicy(StrEnum):
    """What a data definition statement on a replicated table does."""

    APPLY = "apply"
    QUARANTINE = "quarantine"
    STOP = "stop"


class TableFailurePolicy(StrEnum):
    """What happens to a table that keeps failing."""

    QUARANTINE = "quarantine"
    STOP = "stop"


class EngineChoice(StrEnum):
    """Which engine applies rows; `auto` picks per table."""

    AUTO = "auto"
    ROW_IMAGE = "row-image"
    SQL = "sql"


class LogFormat(StrEnum):
    """How a log record is written to stderr."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Graylog:
    """Where GELF records go; `endpoint` is host:port."""

    is_enabled: bool = False
    host: str = "localhost"
    port: int = 12201
    protocol: str = "udp"
    timeout_seconds: float = 5.0
    source: str = "binlog-sync"


@dataclass(frozen=True, slots=True)
class Logging:
    """What is logged, how, and to whom."""

    level: str = "INFO"
    format: LogFormat = LogFormat.TEXT
    project: str = "naluconcept"
    graylog: Graylog = Graylog()


@dataclass(frozen=True, slots=True)
class Network:
    """Patience with connections, in seconds."""

    connect_timeout: float = 10.0
    heartbeat: float = 2.0
    read_timeout: float = 10.0
    query_timeout: float = 3600.0
    lease: float = 5.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed work is tried again: delays in seconds, attempts counted with the first."""

    attempts: int = 3
    delay: float = 0.1
    delay_limit: float = 60.0
    reconnect_attempts: int = 0  # 0: for ever


@dataclass(frozen=True, slots=True)
class Batching:
    """How many whole source transactions share one commit; bytes are of binary log."""

    transactions: int = 5000
    size_bytes: int = 8 * 1024 * 1024
    age_seconds: float = 0.2
    queue_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """How the first copy is made: by `workers`, and over a long link by up to `far_workers` if those are more."""

    chunk_rows: int = 1000
    workers: int = 4
    far_workers: int = 0


@dataclass(frozen=True, slots=True)
class Apply:
    """How changes are applied."""

    engine: EngineChoice = EngineChoice.AUTO
    ddl: DdlPolicy = DdlPolicy.APPLY
    on_table_failure: TableFailurePolicy = TableFailurePolicy.QUARANTINE
    table_failures: int = 5
    ddl_lock_wait: float = 3600.0  # seconds; 0: for ever
    compacts: bool = True


@dataclass(frozen=True, slots=True)
class SessionNeed:
    """How many connections we open to one side at a time: `least` for a stream alone, `most` with `workers` copying.

    Each further worker of a copy opens `per_worker`.
    """

    is_primary: bool
    least: int
    most: int
    workers: int
    per_worker: int

    def workers_for(self, limit: int) -> int:
        """Return how many workers a limit of connections allows, 0 if not even one."""
        return max(0, self.workers + (limit - self.most) // self.per_worker)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run is told."""

    primary: Server
    secondaries: tuple[Server, ...]
    selection: Selection
    server_id: int = 100
    state_schema: str = "replica_state"
    logging: Logging = Logging()
    network: Network = Network()
    retry: Retry = Retry()
    batching: Batching = Batching()
    transfer: TransferSettings = TransferSettings()
    apply: Apply = Apply()
    max_lag_seconds: float = 60.0
    accepted_drift: tuple[AcceptedDrift, ...] = ()
    progress_folder: Path = Path()

    @property
    def server_ids(self) -> tuple[int, ...]:
        """Return the server ids of our dump connections: one a secondary, and one more each for tables that join."""
        return tuple(range(self.server_id, self.server_id + 2 * len(self.secondaries)))

    @property
    def primary_sessions(self) -> SessionNeed:
        """Return the connections to the primary: each secondary has its dump, its questions, and its watch.

        While tables are copied beside the stream they have a dump and questions of their own; a worker has two.
        """
        return self._sessions(is_primary=True, least=2, most=6, per_worker=2)

    @property
    def secondary_sessions(self) -> SessionNeed:
        """Return the connections to a secondary: rows, catalog and heartbeat, and the first look at the start.

        Later there are the watch and the look at locks, what reads ahead of the rows, and what brings copied tables up
        to the stream; a worker of a copy has one for rows, one for definitions, and one that builds indexes.
        """
        return self._sessions(is_primary=False, least=4, most=9, per_worker=3)

    def _sessions(self, *, is_primary: bool, least: int, most: int, per_worker: int) -> SessionNeed:
        # All streams log in to one primary; a secondary has one of them.
        times = max(1, len(self.secondaries)) if is_primary else 1
        workers = self.transfer.workers
        return SessionNeed(
            is_primary, times * least, times * (most + per_worker * workers), workers, times * per_worker
        )
