"""Find out which settings a running stream can take at SIGHUP, and which need a new start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The settings to go on with, the variables that were taken, and those that differ and were not taken."""

    settings: Settings
    taken: tuple[str, ...]
    refused: tuple[str, ...]


_TAKEN: tuple[tuple[str, Callable[[Settings], object]], ...] = (
    ("REPLICA_LOG_LEVEL", lambda s: s.logging.level),
    ("REPLICA_MAX_LAG", lambda s: s.max_lag_seconds),
    ("REPLICA_BATCH_TRANSACTIONS", lambda s: s.batching.transactions),
    ("REPLICA_BATCH_BYTES", lambda s: s.batching.size_bytes),
    ("REPLICA_BATCH_AGE", lambda s: s.batching.age_seconds),
    ("REPLICA_QUEUE_BYTES", lambda s: s.batching.queue_bytes),
    ("TRANSFER_BATCH_SIZE", lambda s: s.transfer.chunk_rows),
    ("REPLICA_TRANSFER_WORKERS", lambda s: (s.transfer.workers, s.transfer.far_workers)),
    ("REPLICA_RETRY_ATTEMPTS", lambda s: s.retry.attempts),
    ("REPLICA_RETRY_DELAY", lambda s: s.retry.delay),
    ("REPLICA_RETRY_DELAY_LIMIT", lambda s: s.retry.delay_limit),
    ("REPLICA_RECONNECT_ATTEMPTS", lambda s: s.retry.reconnect_attempts),
    ("REPLICA_TABLE_FAILURES", lambda s: s.apply.table_failures),
    ("REPLICA_DDL_LOCK_WAIT", lambda s: s.apply.ddl_lock_wait),
    ("REPLICA_ACCEPTED_DRIFT", lambda s: s.accepted_drift),
    ("REPLICA_ON_TABLE_FAILURE", lambda s: s.apply.on_table_failure),
)
_FIXED: tuple[tuple[str, Callable[[Settings], object]], ...] = (
    ("REPLICA_COMPACT", lambda s: s.apply.compacts),
    ("MARIA_PRIMARY_*, MARIA_USER, MARIA_PASS", lambda s: s.primary),
    ("MARIA_SECONDARY_*", lambda s: s.secondaries),
    ("MARIA_SERVER_ID", lambda s: s.server_id),
    ("REPLICA_STATE_SCHEMA", lambda s: s.state_schema),
    ("REPLICA_ENGINE", lambda s: s.apply.engine),
    ("REPLICA_DDL", lambda s: s.apply.ddl),
    ("REPLICA_LOG_FORMAT, LOCAL_PROJECT_NAME, GRAYLOG_*", lambda s: replace(s.logging, level="")),
    ("REPLICA_CONNECT_TIMEOUT", lambda s: s.network.connect_timeout),
    ("REPLICA_HEARTBEAT", lambda s: s.network.heartbeat),
    ("REPLICA_READ_TIMEOUT", lambda s: s.network.read_timeout),
    ("REPLICA_QUERY_TIMEOUT", lambda s: s.network.query_timeout),
    ("REPLICA_LEASE", lambda s: s.network.lease),
    ("REPLICA_PROGRESS_FOLDER", lambda s: s.progress_folder),
    ("REPLICA_LISTEN, REPLICA_HTTP_*", lambda s: s.http),
)
_FILTERS = "REPLICA_SCHEMAS, REPLICA_TABLES, REPLICA_EXCLUDE_TABLES"


def reloaded(old: Settings, new: Settings) -> Reloaded:
    """Return the settings of a running stream after a reload. Filters are taken if they only leave tables out."""
    taken = [name for name, part in _TAKEN if part(old) != part(new)]
    refused = [name for name, part in _FIXED if part(old) != part(new)]
    selection = old.selection
    if new.selection != old.selection:
        if new.selection.is_within(old.selection):
            selection = new.selection
            taken.append(_FILTERS)
        else:
            refused.append(
                f"{_FILTERS} (they select more tables: stop the stream, then `replica position reset --accept-filters`)"
            )
    settings = replace(
        old,
        logging=replace(old.logging, level=new.logging.level),
        max_lag_seconds=new.max_lag_seconds,
        batching=new.batching,
        transfer=new.transfer,
        retry=new.retry,
        accepted_drift=new.accepted_drift,
        selection=selection,
        apply=replace(
            old.apply,
            table_failures=new.apply.table_failures,
            ddl_lock_wait=new.apply.ddl_lock_wait,
            on_table_failure=new.apply.on_table_failure,
        ),
    )
    return Reloaded(settings, tuple(taken), tuple(refused))
