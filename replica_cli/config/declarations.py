"""The declaration of every setting: its name in the configuration file, variable, type, default and meaning.

From these classes come the checks of values, `example.env`, the tables of docs/configuration.md, the help of options,
the commented configuration file, and its JSON Schema. `config.catalogue` lists them. Only the process of a command
loads this module: workers get frozen values (`core.settings`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from replica_cli.config import parsers
from replica_cli.config.accepted_drift import drift_patterns
from replica_cli.config.filters import excluded_patterns, routes, schema_name, table_patterns
from replica_cli.config.http import http_token, listen_address
from replica_cli.config.types import (
    ANY_TEXT,
    Bool,
    Count,
    CountOrZero,
    Folder,
    Host,
    Name,
    Port,
    ReadableFile,
    Seconds,
    SecondsOrZero,
    SecretText,
    Text,
    Texts,
    choice,
    duration,
    number,
    size,
    words_schema,
)
from replica_cli.core.differences import AcceptedDrift
from replica_cli.core.settings import (
    DdlPolicy,
    EngineChoice,
    ListenAddress,
    LogFormat,
    LogRows,
    Secret,
    TableFailurePolicy,
    TlsMode,
)

_LAYERS = "layers"
LAST_SERVER_ID = 2**32 - 1


def setting(
    default: str | None,
    variable: str,
    meaning: str,
    *,
    is_secret: bool = False,
    is_file: bool = False,
    reloads: bool = False,
) -> Any:
    """Declare a setting.

    Args:
        default: its text if no source gives one; None if it then has no value.
        variable: its environment variable; only the end of the name, from the underscore on, in a group that several
            places share; empty if it can only be in the configuration file.
        meaning: what it does, without a full stop.
        is_secret: its value is never shown. The variable with `_FILE` at its end names a file that holds it.
        is_file: its value is a path, in a configuration file relative to the folder of that file.
        reloads: a running stream takes a new value at a reload.

    """
    extra: dict[str, Any] = {"variable": variable, "is_secret": is_secret, "is_file": is_file, "reloads": reloads}
    return Field(default=default, description=meaning, json_schema_extra={"x-replica": extra})


def group(variables: str = "", whose: str = "", **options: Any) -> Any:
    """Declare a group of settings.

    Args:
        variables: the beginning of its variables' names, if its class is used in several places.
        whose: what its settings are about, for the meanings that contain `{whose}`.
        options: passed to pydantic.

    """
    return Field(json_schema_extra={"x-replica": {"prefix": variables, "whose": whose}}, **options)


class Group(BaseModel):
    """A group of settings: an object in the configuration file. A name that is not declared is an error."""

    # Each group is a part of `Declarations`, which builds the validator of all: one for each group would cost time.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)


class TlsGroup(Group):
    """TLS to a server."""

    mode: Annotated[TlsMode | None, choice(TlsMode)] = setting(
        None,
        "_TLS",
        "TLS to {whose}: off, preferred, required, verify-ca or verify-identity; preferred if not given, "
        "and if only a CA is given: verify-ca",
    )
    ca: ReadableFile = setting(
        None, "_TLS_CA", "PEM file with the authority that signed the certificate of {whose}", is_file=True
    )
    cert: ReadableFile = setting(
        None, "_TLS_CERT", "PEM file with the certificate that replica shows to {whose}", is_file=True
    )
    key: ReadableFile = setting(
        None, "_TLS_KEY", "PEM file with the key of the certificate that replica shows to {whose}", is_file=True
    )


class PrimaryGroup(Group):
    """The server that is read."""

    host: Host = setting("mariadb-primary", "MARIA_PRIMARY_HOST", "host of the primary")
    port: Port = setting("3306", "MARIA_PRIMARY_PORT", "port of the primary")
    name: Name = setting("mariadb-primary", "MARIA_PRIMARY_NAME", "name of the primary in logs")
    user: Name = setting("replica", "MARIA_USER", "user on the primary, and on secondaries without a user of their own")
    password: SecretText = setting(
        "replica",
        "MARIA_PASS",
        "password on the primary, and on secondaries without one of their own",
        is_secret=True,
    )
    tls: TlsGroup = group("MARIA_PRIMARY", "the primary", default_factory=TlsGroup)


class ApplyGroup(Group):
    """How changes are applied."""

    engine: Annotated[EngineChoice, choice(EngineChoice)] = setting(
        "auto", "REPLICA_ENGINE", "the engine that applies rows: auto (chosen for each table), row-image or sql"
    )
    ddl: Annotated[DdlPolicy, choice(DdlPolicy)] = setting(
        "apply",
        "REPLICA_DDL",
        "what to do with DDL statements on replicated tables: apply, quarantine (the table) or stop",
    )
    on_table_failure: Annotated[TableFailurePolicy, choice(TableFailurePolicy)] = setting(
        "quarantine",
        "REPLICA_ON_TABLE_FAILURE",
        "what to do with a table that keeps failing: quarantine or stop",
        reloads=True,
    )
    table_failures: Count = setting(
        "5", "REPLICA_TABLE_FAILURES", "failures in a row after which a table counts as failing", reloads=True
    )
    ddl_lock_wait: SecondsOrZero = setting(
        "1h",
        "REPLICA_DDL_LOCK_WAIT",
        "longest wait of a DDL statement for locks on a secondary, before its table counts as failing; 0s: no limit",
        reloads=True,
    )
    compact: Bool = setting("true", "REPLICA_COMPACT", "merge the changes of one row within a batch")


class TransferGroup(Group):
    """How tables are copied."""

    chunk_rows: Count = setting("1000", "TRANSFER_BATCH_SIZE", "rows in a transfer chunk", reloads=True)
    workers: Annotated[int | None, number(1, 64)] = setting(
        None,
        "REPLICA_TRANSFER_WORKERS",
        "workers that copy to one secondary at the same time; if not set: 4, and up to 16 if a server is far away",
        reloads=True,
    )
    progress_folder: Folder = setting(".", "REPLICA_PROGRESS_FOLDER", "folder of transfer_progress_<name>.json")


class BatchGroup(Group):
    """The limits of one commit on a secondary, and of what is read ahead."""

    # Below the lower limits each small transaction would be a commit of its own, and the primary would wait for
    # replica. Above the upper limits more memory brings no gain.
    transactions: Count = setting(
        "5000", "REPLICA_BATCH_TRANSACTIONS", "most source transactions in one commit on a secondary", reloads=True
    )
    bytes: Annotated[int, size(4 << 10, 1 << 30)] = setting(
        "8MiB", "REPLICA_BATCH_BYTES", "most bytes of binary log in one commit, unpacked", reloads=True
    )
    age: Annotated[float, duration(parsers.duration_up_to(60.0))] = setting(
        "200ms",
        "REPLICA_BATCH_AGE",
        "longest time to collect transactions before they are committed together",
        reloads=True,
    )
    queue_bytes: Annotated[int, size(256 << 10, 4 << 30)] = setting(
        "16MiB", "REPLICA_QUEUE_BYTES", "most bytes of binary log read ahead, unpacked, per secondary", reloads=True
    )


class RetryGroup(Group):
    """How failed work is tried again."""

    attempts: Count = setting(
        "3", "REPLICA_RETRY_ATTEMPTS", "attempts at a failed batch or chunk, with the first", reloads=True
    )
    delay: Seconds = setting(
        "100ms", "REPLICA_RETRY_DELAY", "wait before the second attempt; doubled for each further one", reloads=True
    )
    delay_limit: Seconds = setting("1m", "REPLICA_RETRY_DELAY_LIMIT", "longest wait between two attempts", reloads=True)
    reconnect_attempts: CountOrZero = setting(
        "0", "REPLICA_RECONNECT_ATTEMPTS", "attempts to reach a lost server again; 0: no limit", reloads=True
    )


class NetworkGroup(Group):
    """Time limits of connections."""

    connect_timeout: Seconds = setting("10s", "REPLICA_CONNECT_TIMEOUT", "longest wait for a connection")
    heartbeat: Seconds = setting("2s", "REPLICA_HEARTBEAT", "how often an idle primary sends a heartbeat event")
    read_timeout: Seconds = setting(
        "10s", "REPLICA_READ_TIMEOUT", "time without data after which a connection to the primary counts as dead"
    )
    query_timeout: Seconds = setting("1h", "REPLICA_QUERY_TIMEOUT", "longest wait for the answer to one statement")
    lease: Seconds = setting(
        "5s",
        "REPLICA_LEASE",
        "time without a heartbeat of a stream after which its `--standby` takes over; at least 3s",
    )


class HealthGroup(Group):
    """What counts as healthy."""

    max_lag: Seconds = setting(
        "60s",
        "REPLICA_MAX_LAG",
        "lag above which `replica health` warns, and a stream tells what limits it",
        reloads=True,
    )
    accepted_drift: Annotated[tuple[AcceptedDrift, ...], Texts(drift_patterns)] = setting(
        None,
        "REPLICA_ACCEPTED_DRIFT",
        "differences that `drift check` and the stream do not report: `schema.table:aspect:name`, comma-separated",
        reloads=True,
    )


class VerifyGroup(Group):
    """How rows are compared."""

    rate: CountOrZero = setting(
        "0",
        "REPLICA_VERIFY_RATE",
        "rows a second that the stream compares with the primary's all the time; 0: none",
        reloads=True,
    )
    max_age: SecondsOrZero = setting(
        "0s",
        "REPLICA_VERIFY_MAX_AGE",
        "time after which `replica health` warns of a table whose rows were not proven equal; 0s: never",
        reloads=True,
    )
    max_lag: Seconds = setting(
        "5s", "REPLICA_VERIFY_MAX_LAG", "a comparison waits while the stream is further behind than this"
    )
    max_threads: Count = setting(
        "50",
        "REPLICA_VERIFY_MAX_THREADS",
        "a comparison waits while a server runs more statements than this at the same time",
    )
    max_history: Count = setting(
        "1000000",
        "REPLICA_VERIFY_MAX_HISTORY",
        "a comparison waits while InnoDB has more old row versions than this to remove",
    )
    snapshot: Annotated[float, duration(parsers.duration_up_to(86400.0))] = setting(
        "60s",
        "REPLICA_VERIFY_SNAPSHOT",
        "how old a snapshot of a comparison may become; a keyless table has to be read within this time",
    )


class SecondaryHealthGroup(Group):
    """What counts as healthy for one secondary."""

    max_lag: Seconds | None = setting(None, "", "as health.max_lag, for this secondary", reloads=True)


class SecondaryGroup(Group):
    """A server that is written. What is given here is for this secondary alone."""

    model_config = ConfigDict(json_schema_extra={"required": ["host"]})

    host: Host = setting(None, "", "host of the secondary; required")
    port: Port = setting("3306", "", "port of the secondary")
    name: Name | None = setting(None, "", "name of the secondary; host:port if not given")
    user: Name | None = setting(None, "", "user on the secondary; primary.user if not given")
    password: SecretText | None = setting(
        None, "", "password on the secondary; primary.password if not given", is_secret=True
    )
    tls: TlsGroup | None = group("", "this secondary", default=None)
    apply: ApplyGroup | None = group(default=None)
    transfer: TransferGroup | None = group(default=None)
    batch: BatchGroup | None = group(default=None)
    retry: RetryGroup | None = group(default=None)
    health: SecondaryHealthGroup | None = group(default=None)


def _rule_engine(text: str) -> EngineChoice:
    return EngineChoice(parsers.one_of("auto", "sql")(text))


class RuleGroup(Group):
    """What is different for some tables. The first rule counts that matches a table and gives a value."""

    model_config = ConfigDict(json_schema_extra={"required": ["tables"]})

    tables: Annotated[tuple[str, ...], Texts(table_patterns)] = setting(
        None, "", "the tables of the rule: patterns as in `tables`; required"
    )
    engine: Annotated[EngineChoice | None, Text(_rule_engine, words_schema("auto", "sql"))] = setting(
        None, "", "as apply.engine: auto or sql"
    )
    ddl: Annotated[DdlPolicy | None, choice(DdlPolicy)] = setting(None, "", "as apply.ddl: apply, quarantine or stop")
    on_table_failure: Annotated[TableFailurePolicy | None, choice(TableFailurePolicy)] = setting(
        None, "", "as apply.on_table_failure: quarantine or stop", reloads=True
    )


class GraylogGroup(Group):
    """Log records as GELF."""

    enabled: Bool = setting("false", "GRAYLOG_ENABLED", "send log records to Graylog")
    endpoint: Annotated[tuple[str, int], Text(parsers.endpoint, ANY_TEXT)] = setting(
        "localhost:12201", "GRAYLOG_ENDPOINT", "host:port of Graylog's GELF input"
    )
    protocol: Annotated[str, Text(parsers.one_of("udp", "tcp"), words_schema("udp", "tcp"))] = setting(
        "udp", "GRAYLOG_PROTOCOL", "udp or tcp"
    )
    timeout: Seconds = setting("5s", "GRAYLOG_TIMEOUT", "longest wait for Graylog, in a thread of its own")
    source: Name = setting("binlog-sync", "GRAYLOG_SOURCE", "source (host) field of the records")


_LEVELS = words_schema("DEBUG", "INFO", "WARNING", "ERROR", "WARN")
_FORMS = ("auto", "bar", "lines", "off")


class LoggingGroup(Group):
    """What is logged and shown."""

    level: Annotated[str, Text(parsers.level, _LEVELS)] = setting(
        "INFO", "REPLICA_LOG_LEVEL", "lowest level that is logged: DEBUG, INFO, WARNING or ERROR", reloads=True
    )
    format: Annotated[LogFormat, choice(LogFormat)] = setting(
        "text", "REPLICA_LOG_FORMAT", "format of a log line: text or json"
    )
    rows: Annotated[LogRows, choice(LogRows)] = setting(
        "auto",
        "REPLICA_LOG_ROWS",
        "log lines about applied rows: auto (sums, rarer the busier the stream is) or batch (sums of each commit)",
        reloads=True,
    )
    progress: Annotated[str, Text(parsers.one_of(*_FORMS), words_schema(*_FORMS))] = setting(
        "auto", "REPLICA_PROGRESS", "progress on stderr: auto (bar on a terminal, else lines), bar, lines or off"
    )
    project: Name = setting("naluconcept", "LOCAL_PROJECT_NAME", "project name, a field of every log record")
    graylog: GraylogGroup = group(default_factory=GraylogGroup)


class HttpGroup(Group):
    """The HTTP server of `stream`; a transfer has one with `--listen`."""

    listen: Annotated[ListenAddress | None, Text(listen_address, ANY_TEXT)] = setting(
        None,
        "REPLICA_LISTEN",
        "where `stream` answers HTTP: `address:port` or `unix:/path`; nothing listens if not given",
    )
    token: Annotated[Secret | None, Text(http_token, ANY_TEXT, keeps_blanks=True)] = setting(
        None, "REPLICA_HTTP_TOKEN", "token that HTTP requests need that change something", is_secret=True
    )
    tls_cert: ReadableFile = setting(
        None,
        "REPLICA_HTTP_TLS_CERT",
        "PEM file with the certificate of the HTTP server, which then speaks TLS",
        is_file=True,
    )
    tls_key: ReadableFile = setting(
        None, "REPLICA_HTTP_TLS_KEY", "PEM file with the key of that certificate", is_file=True
    )
    client_ca: ReadableFile = setting(
        None,
        "REPLICA_HTTP_CLIENT_CA",
        "PEM file with the authority that signed the certificates of HTTP clients",
        is_file=True,
    )


class Declarations(BaseSettings):
    """All settings, in the order of the documents: the configuration file has this form."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    primary: PrimaryGroup = group(default_factory=PrimaryGroup)
    server_id: Annotated[int, number(1, LAST_SERVER_ID)] = setting(
        "100",
        "MARIA_SERVER_ID",
        "first server id of the dump connections; each secondary uses two ids, counted up from it",
    )
    secondaries: tuple[SecondaryGroup, ...] = group(default=())
    secondary_tls: TlsGroup = group("MARIA_SECONDARY", "the secondaries", default_factory=TlsGroup)
    schemas: Annotated[tuple[str, ...], Texts(routes)] = setting(
        "replica",
        "REPLICA_SCHEMAS",
        "schemas to replicate, comma-separated; `*`: all except system schemas; `a:b` copies schema a into b",
        reloads=True,
    )
    tables: Annotated[tuple[str, ...], Texts(table_patterns)] = setting(
        None,
        "REPLICA_TABLES",
        "only these tables: `schema.table` patterns with `*` and `?`; all if not given",
        reloads=True,
    )
    exclude_tables: Annotated[tuple[str, ...], Texts(excluded_patterns)] = setting(
        None, "REPLICA_EXCLUDE_TABLES", "never these tables: patterns as above; none if not given", reloads=True
    )
    state_schema: Annotated[str, Text(schema_name, ANY_TEXT)] = setting(
        "replica_state", "REPLICA_STATE_SCHEMA", "schema on each secondary for the tool's own tables"
    )
    apply: ApplyGroup = group(default_factory=ApplyGroup)
    rules: tuple[RuleGroup, ...] = group(default=())
    transfer: TransferGroup = group(default_factory=TransferGroup)
    batch: BatchGroup = group(default_factory=BatchGroup)
    retry: RetryGroup = group(default_factory=RetryGroup)
    network: NetworkGroup = group(default_factory=NetworkGroup)
    health: HealthGroup = group(default_factory=HealthGroup)
    verify: VerifyGroup = group(default_factory=VerifyGroup)
    logging: LoggingGroup = group(default_factory=LoggingGroup)
    http: HttpGroup = group(default_factory=HttpGroup)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources that the caller gives, the first wins: the names of the variables follow no one rule."""
        values = getattr(init_settings, "init_kwargs", {})[_LAYERS]
        return tuple(_Source(settings_cls, each) for each in values)

    @classmethod
    def of(cls, layers: tuple[dict[str, Any], ...]) -> Declarations:
        """Return the settings that the layers give; the first wins.

        Raises:
            pydantic.ValidationError: with all values that are wrong.
        """
        values: dict[str, Any] = {_LAYERS: layers}
        return cls(**values)


class _Source(PydanticBaseSettingsSource):
    """One layer of nested values."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's signature
        """Return the value of one field."""
        return self._values.get(field_name), field_name, True

    def __call__(self) -> dict[str, Any]:
        """Return all values."""
        return self._values
