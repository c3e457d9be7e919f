"""The frozen settings of one run. `replica_cli.config` makes them from the environment and the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.selection import pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.core.differences import AcceptedDrift
    from replica_cli.core.names import TableName
    from replica_cli.core.selection import Selection


_LOOPBACK = re.compile(r"localhost\.?|127(\.\d{1,3}){3}|::1")


class Secret:
    """A password that `str()` and `repr()` do not show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the password; call it only where the password is used."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class TlsMode(StrEnum):
    """How strictly a connection checks its server, from the weakest mode to the strictest."""

    OFF = "off"
    PREFERRED = "preferred"
    REQUIRED = "required"
    VERIFY_CA = "verify-ca"
    VERIFY_IDENTITY = "verify-identity"


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings for one server; paths are PEM files."""

    mode: TlsMode = TlsMode.PREFERRED
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """The address and login of one server; `name` is its name in logs and messages, for a secondary the instance."""

    name: str
    host: str
    port: int
    user: str
    password: Secret
    tls: Tls = Tls()
    is_primary: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the HTTP server listens: a host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    @property
    def is_local(self) -> bool:
        """Return True if only programs of this machine can connect."""
        return self.path is not None or is_loopback(self.host)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Return True if a host name or address is one of this machine's loopback interface."""
    return _LOOPBACK.fullmatch(host.lower()) is not None


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP server of `stream` and `transfer`. Without an address nothing listens.

    Attributes:
        token: what a client must send to change something; None: nothing can be changed.
        tls_cert: PEM file with the server's certificate; `tls_key` has its key.
        client_ca: PEM file with the authority of the clients' certificates; None: clients need none.
        body_bytes: the largest body of a request.
        requests_per_second: how many requests a client may make in the long run.
        connections: how many connections are open at one time at most.
    """

    listen: ListenAddress | None = None
    token: Secret | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    body_bytes: int = 64 * 1024
    requests_per_second: float = 50.0
    connections: int = 100


class DdlPolicy(StrEnum):
    """What happens when the log contains a DDL statement for a replicated table."""

    APPLY = "apply"
    QUARANTINE = "quarantine"
    STOP = "stop"


class TableFailurePolicy(StrEnum):
    """What happens to a table whose changes fail again and again."""

    QUARANTINE = "quarantine"
    STOP = "stop"


class EngineChoice(StrEnum):
    """Which engine applies rows; with `auto`, `replica` decides for each table."""

    AUTO = "auto"
    ROW_IMAGE = "row-image"
    SQL = "sql"


class LogFormat(StrEnum):
    """The format of log records on stderr."""

    TEXT = "text"
    JSON = "json"


class LogRows(StrEnum):
    """How often the sums of applied rows are logged: as little as a busy stream needs, or for each batch."""

    AUTO = "auto"
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Graylog:
    """Where log records go as GELF."""

    is_enabled: bool = False
    host: str = "localhost"
    port: int = 12201
    protocol: str = "udp"
    timeout_seconds: float = 5.0
    source: str = "binlog-sync"


@dataclass(frozen=True, slots=True)
class Logging:
    """What is logged, in which format, and where it goes."""

    level: str = "INFO"
    format: LogFormat = LogFormat.TEXT
    rows: LogRows = LogRows.AUTO
    project: str = "naluconcept"
    graylog: Graylog = Graylog()


@dataclass(frozen=True, slots=True)
class Network:
    """Time limits of connections, in seconds."""

    connect_timeout: float = 10.0
    heartbeat: float = 2.0
    read_timeout: float = 10.0
    query_timeout: float = 3600.0
    lease: float = 5.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed work is tried again: delays in seconds; `attempts` includes the first attempt."""

    attempts: int = 3
    delay: float = 0.1
    delay_limit: float = 60.0
    reconnect_attempts: int = 0  # 0: no limit


@dataclass(frozen=True, slots=True)
class Batching:
    """The limits of one batch, and of the queue before the applier; bytes are bytes of binary log."""

    transactions: int = 5000
    size_bytes: int = 8 * 1024 * 1024
    age_seconds: float = 0.2
    queue_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """How tables are copied: by `workers` copy workers, or up to `far_workers` if the network round trip is long.

    `far_workers` counts only if it is more than `workers`.
    """

    chunk_rows: int = 1000
    workers: int = 4
    far_workers: int = 0


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """How rows are compared.

    Attributes:
        rate: how many rows a second the stream compares all the time; 0: none.
        max_age_seconds: the time after which a table counts as not proven for too long; 0: no limit.
        max_lag_seconds: a comparison waits while the stream is further behind.
        max_threads: a comparison waits while a server runs more statements than this at the same time.
        max_history: a comparison waits while a server has more old row versions than this to remove.
        snapshot_seconds: how old a snapshot may become.
    """

    rate: int = 0
    max_age_seconds: float = 0.0
    max_lag_seconds: float = 5.0
    max_threads: int = 50
    max_history: int = 1_000_000
    snapshot_seconds: float = 60.0


@dataclass(frozen=True)
class TableRule:
    """What is different for the tables of some patterns, which name tables of the primary; None: as for all tables."""

    tables: tuple[str, ...]
    engine: EngineChoice | None = None
    ddl: DdlPolicy | None = None
    on_table_failure: TableFailurePolicy | None = None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return pattern_of(self.tables)

    def matches(self, name: TableName) -> bool:
        """Return True if a pattern matches a table of the primary."""
        return self._pattern.match(str(name)) is not None


@dataclass(frozen=True, slots=True)
class Apply:
    """How the applier treats row changes, DDL statements and failing tables.

    The rules change that for single tables. The first rule that matches a table and has a value counts.
    """

    engine: EngineChoice = EngineChoice.AUTO
    ddl: DdlPolicy = DdlPolicy.APPLY
    on_table_failure: TableFailurePolicy = TableFailurePolicy.QUARANTINE
    table_failures: int = 5
    ddl_lock_wait: float = 3600.0  # seconds; 0: no limit
    compacts: bool = True
    rules: tuple[TableRule, ...] = ()

    def engine_for(self, name: TableName) -> EngineChoice:
        """Return which engine applies the rows of a table."""
        return next((r.engine for r in self.rules if r.engine is not None and r.matches(name)), self.engine)

    @property
    def is_sql_only(self) -> bool:
        """Return True if the SQL engine applies the rows of all tables."""
        engines = {self.engine, *(r.engine for r in self.rules if r.engine is not None)}
        return engines == {EngineChoice.SQL}

    def ddl_for(self, names: Iterable[TableName]) -> DdlPolicy:
        """Return what happens to a DDL statement for tables: the strictest of their policies."""
        policies = [next((r.ddl for r in self.rules if r.ddl is not None and r.matches(n)), self.ddl) for n in names]
        return max(policies, key=list(DdlPolicy).index, default=self.ddl)

    def stops_for(self, name: TableName | None) -> bool:
        """Return True if the stream ends when a table keeps failing; None is a table that is not known."""
        policies = (
            r.on_table_failure for r in self.rules if name is not None and r.on_table_failure and r.matches(name)
        )
        return next(policies, self.on_table_failure) is TableFailurePolicy.STOP


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """The settings that a secondary can have of its own, with the values that hold for it."""

    apply: Apply
    transfer: TransferSettings
    batching: Batching
    retry: Retry
    max_lag_seconds: float
    progress_folder: Path


@dataclass(frozen=True, slots=True)
class SessionNeed:
    """How many connections `replica` has open at one time to one server.

    Attributes:
        is_primary: whether the server is the primary.
        least: connections of streams without a copy.
        without_workers: connections of streams while they copy, without those of the copy workers.
        of_workers: connections of the configured copy workers.
        per_worker: connections that one more copy worker for each stream adds.
    """

    is_primary: bool
    least: int
    without_workers: int
    of_workers: int
    per_worker: int

    @property
    def most(self) -> int:
        """Return how many connections there are while all copy workers copy."""
        return self.without_workers + self.of_workers

    def workers_for(self, limit: int) -> int:
        """Return how many copy workers for each stream a limit of connections allows, 0 if it does not allow one."""
        return max(0, (limit - self.without_workers) // self.per_worker)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one run of `replica`.

    `own` has what holds for each secondary, by its name: `of` returns the settings with it. It is empty if no
    secondary has settings of its own.
    """

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
    verify: VerifySettings = VerifySettings()
    max_lag_seconds: float = 60.0
    accepted_drift: tuple[AcceptedDrift, ...] = ()
    progress_folder: Path = Path()
    http: Http = Http()
    own: Mapping[str, OwnSettings] = field(default_factory=dict)

    def of(self, secondary: str) -> Settings:
        """Return the settings for the work on one secondary."""
        own = self.own.get(secondary)
        if own is None:
            return self
        return replace(
            self,
            apply=own.apply,
            transfer=own.transfer,
            batching=own.batching,
            retry=own.retry,
            max_lag_seconds=own.max_lag_seconds,
            progress_folder=own.progress_folder,
        )

    @property
    def server_ids(self) -> tuple[int, ...]:
        """Return the server ids of all dump connections: for each secondary one for its stream and one for catch-up."""
        return tuple(range(self.server_id, self.server_id + 2 * len(self.secondaries)))

    @property
    def primary_sessions(self) -> SessionNeed:
        """Return how many connections to the primary are needed: docs/how-it-works/processes.md lists them.

        For each secondary at least the dump connection and one for questions. At most also: the health monitor, the
        dump connection and the questions of a catch-up, a short one, three for the scrub, and two for each copy worker.
        The copy workers have ended when a catch-up begins.
        """
        scrub = 3 if self.verify.rate else 0
        return self._sessions(is_primary=True, least=2, most=6 + scrub, per_worker=2)

    @property
    def secondary_sessions(self) -> SessionNeed:
        """Return how many connections to a secondary are needed: docs/how-it-works/processes.md lists them.

        At least the writer, the catalog, the heartbeat and a short one. At most also: the health monitor, the locks,
        the prefetch, the re-sync's session for records, one that asks for the lock of a table, four for the scrub, and
        three for each copy worker (writer, secondary, altering). A catch-up has two of its own, but no copy worker runs
        then.
        """
        scrub = 4 if self.verify.rate else 0
        return self._sessions(is_primary=False, least=4, most=9 + scrub, per_worker=3)

    def _sessions(self, *, is_primary: bool, least: int, most: int, per_worker: int) -> SessionNeed:
        # The primary has the connections of all streams. A secondary has those of one stream.
        each = [self.of(s.name).transfer.workers for s in self.secondaries] if is_primary else []
        workers = each or [self.transfer.workers]
        times = len(workers)
        return SessionNeed(is_primary, times * least, times * most, per_worker * sum(workers), times * per_worker)
