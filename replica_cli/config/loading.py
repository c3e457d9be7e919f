"""Makes `Settings` from text. It reads all variables before it raises an error, so that the error has all problems."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.config import parsers
from replica_cli.config.accepted_drift import NO_DRIFT, accepted_drift
from replica_cli.config.filters import read_selection
from replica_cli.config.overrides import Overrides
from replica_cli.config.servers import read_primary, read_secondaries, read_server_id
from replica_cli.config.sources import Sources, process_environment
from replica_cli.config.variables import NAMES
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.settings import (
    Apply,
    Batching,
    DdlPolicy,
    EngineChoice,
    Graylog,
    Http,
    LogFormat,
    Logging,
    Network,
    Retry,
    Settings,
    TableFailurePolicy,
    TransferSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DOTENV = Path(".env")
LEAST_LEASE_SECONDS = 3.0
# Below the lower limits each small transaction would be a commit of its own, and the primary would wait for replica.
# Above the upper limits more memory brings no gain.
_BATCH_BYTES = parsers.size_between(4 << 10, 1 << 30)
_QUEUE_BYTES = parsers.size_between(256 << 10, 4 << 30)
_BATCH_AGE = parsers.duration_up_to(60.0)
_COUNT = parsers.whole_number(1, 1_000_000)
_FAR_WORKERS = 16
_HTTP = (
    "REPLICA_LISTEN", "REPLICA_HTTP_TOKEN_FILE", "REPLICA_HTTP_TLS_CERT", "REPLICA_HTTP_TLS_KEY",
    "REPLICA_HTTP_CLIENT_CA",
)  # fmt: skip
_HINT = "example.env lists every variable with its default; a line of `.env` is NAME=value or NAME='any value'"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, how progress is shown (auto, bar, lines, off), and warnings that do not stop a command."""

    settings: Settings
    progress: str = "auto"
    warnings: tuple[str, ...] = ()


def load_settings(
    overrides: Overrides | None = None, environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV
) -> Settings:
    """Return the settings.

    Raises:
        ConfigurationError: with all problems.
    """
    return read_configuration(overrides, environ, dotenv).settings


def read_configuration(
    overrides: Overrides | None = None, environ: Mapping[str, str] | None = None, dotenv: Path = DOTENV
) -> Configuration:
    """Return the settings, how progress is shown, and the warnings.

    Raises:
        ConfigurationError: with all problems; each names its variable or option.
    """
    sources = Sources(overrides or Overrides(), process_environment() if environ is None else environ, dotenv)
    settings = _read(sources)
    progress = sources.parsed("REPLICA_PROGRESS", _progress, "auto")
    misspelt = misspellings(sources.unknown_names())
    if sources.problems:
        # If a required variable "is not set", its name is often misspelt.
        raise ConfigurationError((*sources.problems, *misspelt), hint=_no_file(dotenv) + _HINT)
    return Configuration(settings, progress, (*sources.warnings, *misspelt))


def _no_file(dotenv: Path) -> str:
    """Return a sentence that says that the `.env` file does not exist, empty if it exists."""
    if dotenv.exists():
        return ""
    return f"there is no {dotenv.absolute()}: create it, or name another file with `--env-file`; "


def secondary_names(dotenv: Path = DOTENV) -> tuple[str, ...]:
    """Return the names of the secondaries for shell completion, none if the configuration is wrong."""
    try:
        return tuple(s.name for s in load_settings(None, None, dotenv).secondaries)
    except ConfigurationError:
        return ()


def misspellings(names: list[str]) -> tuple[str, ...]:
    """Return a warning for each unknown variable name, with the most similar known name."""
    warnings = []
    for name in names:
        # The first word is the same in most names. It is not compared, because otherwise short names match every name.
        ends = {known.partition("_")[2]: known for known in sorted(NAMES)}
        nearest = difflib.get_close_matches(name.upper().partition("_")[2], ends, n=1, cutoff=0.6)
        warnings.append(f"{name}: unknown variable" + (f", did you mean {ends[nearest[0]]}" if nearest else ""))
    return tuple(warnings)


def _read(sources: Sources) -> Settings:
    primary = read_primary(sources)
    secondaries = read_secondaries(sources, primary)
    selection = read_selection(sources)
    return Settings(
        primary=primary,
        secondaries=secondaries,
        selection=selection,
        server_id=read_server_id(sources, len(secondaries)),
        state_schema=selection.state_schema,
        logging=_read_logging(sources),
        network=_read_network(sources),
        retry=_read_retry(sources),
        batching=_read_batching(sources),
        transfer=_read_transfer(sources, len(secondaries)),
        apply=_read_apply(sources),
        max_lag_seconds=sources.parsed("REPLICA_MAX_LAG", parsers.positive_duration, 60.0),
        accepted_drift=sources.parsed("REPLICA_ACCEPTED_DRIFT", accepted_drift, NO_DRIFT),
        progress_folder=sources.parsed("REPLICA_PROGRESS_FOLDER", Path, Path()),
        http=_read_http(sources),
    )


def _read_logging(sources: Sources) -> Logging:
    standard, graylog = Logging(), Graylog()
    host, port = sources.parsed("GRAYLOG_ENDPOINT", parsers.endpoint, (graylog.host, graylog.port))
    return Logging(
        level=sources.parsed("REPLICA_LOG_LEVEL", parsers.level, standard.level),
        format=sources.parsed("REPLICA_LOG_FORMAT", parsers.choice(LogFormat), standard.format),
        project=sources.text("LOCAL_PROJECT_NAME") or standard.project,
        graylog=Graylog(
            is_enabled=sources.parsed("GRAYLOG_ENABLED", parsers.boolean, graylog.is_enabled),
            host=host,
            port=port,
            protocol=sources.parsed("GRAYLOG_PROTOCOL", _graylog_protocol, graylog.protocol),
            timeout_seconds=sources.parsed("GRAYLOG_TIMEOUT", parsers.positive_duration, graylog.timeout_seconds),
            source=sources.text("GRAYLOG_SOURCE") or graylog.source,
        ),
    )


def _read_network(sources: Sources) -> Network:
    standard, duration = Network(), parsers.positive_duration
    network = Network(
        connect_timeout=sources.parsed("REPLICA_CONNECT_TIMEOUT", duration, standard.connect_timeout),
        heartbeat=sources.parsed("REPLICA_HEARTBEAT", duration, standard.heartbeat),
        read_timeout=sources.parsed("REPLICA_READ_TIMEOUT", duration, standard.read_timeout),
        query_timeout=sources.parsed("REPLICA_QUERY_TIMEOUT", duration, standard.query_timeout),
        lease=sources.parsed("REPLICA_LEASE", duration, standard.lease),
    )
    if network.lease < LEAST_LEASE_SECONDS:
        # The holder renews the lease once a second. With a shorter one a busy process would look like a frozen one.
        sources.complain("REPLICA_LEASE", f"must be at least {LEAST_LEASE_SECONDS:.0f}s")
    if network.heartbeat >= network.read_timeout:
        # An idle primary would look dead after every read timeout.
        sources.complain("REPLICA_HEARTBEAT", "must be shorter than REPLICA_READ_TIMEOUT")
    return network


def _read_retry(sources: Sources) -> Retry:
    standard = Retry()
    retry = Retry(
        attempts=sources.parsed("REPLICA_RETRY_ATTEMPTS", _COUNT, standard.attempts),
        delay=sources.parsed("REPLICA_RETRY_DELAY", parsers.positive_duration, standard.delay),
        delay_limit=sources.parsed("REPLICA_RETRY_DELAY_LIMIT", parsers.positive_duration, standard.delay_limit),
        reconnect_attempts=sources.parsed(
            "REPLICA_RECONNECT_ATTEMPTS", parsers.whole_number(0, 1_000_000), standard.reconnect_attempts
        ),
    )
    if retry.delay > retry.delay_limit:
        sources.complain("REPLICA_RETRY_DELAY", "is longer than REPLICA_RETRY_DELAY_LIMIT")
    return retry


def _read_batching(sources: Sources) -> Batching:
    standard = Batching()
    return Batching(
        transactions=sources.parsed("REPLICA_BATCH_TRANSACTIONS", _COUNT, standard.transactions),
        size_bytes=sources.parsed("REPLICA_BATCH_BYTES", _BATCH_BYTES, standard.size_bytes),
        age_seconds=sources.parsed("REPLICA_BATCH_AGE", _BATCH_AGE, standard.age_seconds),
        queue_bytes=sources.parsed("REPLICA_QUEUE_BYTES", _QUEUE_BYTES, standard.queue_bytes),
    )


def _read_transfer(sources: Sources, secondaries: int) -> TransferSettings:
    standard = TransferSettings()
    # If the user chose a number, it also holds if the round trip to a server is long.
    chosen = sources.parsed("REPLICA_TRANSFER_WORKERS", parsers.whole_number(1, 64), 0)
    return TransferSettings(
        chunk_rows=sources.parsed("TRANSFER_BATCH_SIZE", _COUNT, standard.chunk_rows),
        workers=chosen or standard.workers,
        # The copies to all secondaries read from one primary, and share its connections.
        far_workers=0 if chosen else _FAR_WORKERS // max(1, secondaries),
    )


def _read_apply(sources: Sources) -> Apply:
    standard = Apply()
    return Apply(
        engine=sources.parsed("REPLICA_ENGINE", parsers.choice(EngineChoice), standard.engine),
        ddl=sources.parsed("REPLICA_DDL", parsers.choice(DdlPolicy), standard.ddl),
        on_table_failure=sources.parsed(
            "REPLICA_ON_TABLE_FAILURE", parsers.choice(TableFailurePolicy), standard.on_table_failure
        ),
        table_failures=sources.parsed("REPLICA_TABLE_FAILURES", _COUNT, standard.table_failures),
        ddl_lock_wait=sources.parsed("REPLICA_DDL_LOCK_WAIT", parsers.duration, standard.ddl_lock_wait),
        compacts=sources.parsed("REPLICA_COMPACT", parsers.boolean, standard.compacts),
    )


def _read_http(sources: Sources) -> Http:
    if all(sources.text(name) is None for name in _HTTP):
        return Http()
    from replica_cli.config.http import read_http  # noqa: PLC0415 - most commands do not listen

    return read_http(sources)


def _progress(text: str) -> str:
    if text.lower() not in ("auto", "bar", "lines", "off"):
        raise ValueError(f"{text!r} is not one of auto, bar, lines, off")
    return text.lower()


def _graylog_protocol(text: str) -> str:
    if text.lower() not in ("udp", "tcp"):
        raise ValueError(f"{text!r} is neither udp nor tcp")
    return text.lower()
