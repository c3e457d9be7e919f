"""Makes the frozen settings of `core.settings` from the declared ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from replica_cli.config.filters import selection_of
from replica_cli.core.settings import (
    Apply,
    Batching,
    Graylog,
    Http,
    Logging,
    Network,
    OwnSettings,
    Retry,
    Server,
    Settings,
    TableRule,
    Tls,
    TlsMode,
    TransferSettings,
    VerifySettings,
)

if TYPE_CHECKING:
    from replica_cli.config.declarations import (
        ApplyGroup,
        BatchGroup,
        Declarations,
        Group,
        LoggingGroup,
        RetryGroup,
        SecondaryGroup,
        TlsGroup,
        TransferGroup,
        VerifyGroup,
    )

G = TypeVar("G", bound="Group")
_FAR_WORKERS = 16
# The groups that a secondary can have of its own, apart from `tls`, which is a part of its server.
OWN_GROUPS = ("apply", "transfer", "batch", "retry", "health")


def settings_of(declared: Declarations) -> Settings:
    """Return the frozen settings."""
    primary = _primary(declared)
    selection = selection_of(declared.schemas, declared.tables, declared.exclude_tables, declared.state_schema)
    rules = tuple(TableRule(r.tables, r.engine, r.ddl, r.on_table_failure) for r in declared.rules)
    network, http = declared.network, declared.http
    return Settings(
        primary=primary,
        secondaries=tuple(_secondary(each, primary, declared.secondary_tls) for each in declared.secondaries),
        selection=selection,
        server_id=declared.server_id,
        state_schema=declared.state_schema,
        logging=_logging(declared.logging),
        network=Network(
            network.connect_timeout, network.heartbeat, network.read_timeout, network.query_timeout, network.lease
        ),
        retry=_retry(declared.retry),
        batching=_batching(declared.batch),
        transfer=_transfer(declared.transfer, len(declared.secondaries)),
        apply=_apply(declared.apply, rules),
        verify=_verify(declared.verify),
        max_lag_seconds=declared.health.max_lag,
        accepted_drift=declared.health.accepted_drift,
        progress_folder=declared.transfer.progress_folder,
        http=Http(http.listen, http.token, http.tls_cert, http.tls_key, http.client_ca),
        own=_own(declared, rules),
    )


def _primary(declared: Declarations) -> Server:
    primary = declared.primary
    return Server(
        primary.name, primary.host, primary.port, primary.user, primary.password, _tls(primary.tls), is_primary=True
    )


def _secondary(each: SecondaryGroup, primary: Server, tls: TlsGroup) -> Server:
    """Return a secondary. What it does not give is that of the primary, or of all secondaries."""
    return Server(
        each.name or f"{each.host}:{each.port}",
        each.host,
        each.port,
        each.user or primary.user,
        each.password or primary.password,
        _tls(merged(tls, each.tls)),
    )


def _tls(tls: TlsGroup) -> Tls:
    # A user who names a certificate authority wants the certificate checked; "preferred" accepts any server.
    unset = TlsMode.PREFERRED if tls.ca is None else TlsMode.VERIFY_CA
    return Tls(tls.mode or unset, tls.ca, tls.cert, tls.key)


def _own(declared: Declarations, rules: tuple[TableRule, ...]) -> dict[str, OwnSettings]:
    if not any(getattr(each, name) is not None for each in declared.secondaries for name in OWN_GROUPS):
        return {}
    own: dict[str, OwnSettings] = {}
    for each in declared.secondaries:
        transfer = merged(declared.transfer, each.transfer)
        own[each.name or f"{each.host}:{each.port}"] = OwnSettings(
            apply=_apply(merged(declared.apply, each.apply), rules),
            transfer=_transfer(transfer, len(declared.secondaries)),
            batching=_batching(merged(declared.batch, each.batch)),
            retry=_retry(merged(declared.retry, each.retry)),
            max_lag_seconds=merged(declared.health, each.health).max_lag,
            progress_folder=transfer.progress_folder,
        )
    return own


def merged(whole: G, own: Group | None) -> G:
    """Return the group of all secondaries with what the group of one of them gives."""
    if own is None:
        return whole
    return whole.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def _apply(apply: ApplyGroup, rules: tuple[TableRule, ...]) -> Apply:
    return Apply(
        apply.engine, apply.ddl, apply.on_table_failure, apply.table_failures, apply.ddl_lock_wait, apply.compact, rules
    )


def _transfer(transfer: TransferGroup, secondaries: int) -> TransferSettings:
    # If the user chose a number, it also holds if the round trip to a server is long. The copies to all secondaries
    # read from one primary, and share its connections.
    far_workers = 0 if transfer.workers else _FAR_WORKERS // max(1, secondaries)
    return TransferSettings(transfer.chunk_rows, transfer.workers or TransferSettings().workers, far_workers)


def _verify(verify: VerifyGroup) -> VerifySettings:
    return VerifySettings(
        verify.rate, verify.max_age, verify.max_lag, verify.max_threads, verify.max_history, verify.snapshot
    )


def _batching(batch: BatchGroup) -> Batching:
    return Batching(batch.transactions, batch.bytes, batch.age, batch.queue_bytes)


def _retry(retry: RetryGroup) -> Retry:
    return Retry(retry.attempts, retry.delay, retry.delay_limit, retry.reconnect_attempts)


def _logging(logging: LoggingGroup) -> Logging:
    graylog = logging.graylog
    host, port = graylog.endpoint
    return Logging(
        level=logging.level,
        format=logging.format,
        rows=logging.rows,
        project=logging.project,
        graylog=Graylog(graylog.enabled, host, port, graylog.protocol, graylog.timeout, graylog.source),
    )
