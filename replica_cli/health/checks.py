"""Build the health checks of one instance.

Each function is pure: it makes one `HealthCheck` from values that were read before. The names of the checks are stable,
because monitoring systems refer to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.beats import FRESH_SECONDS
from replica_cli.core.commands import former_name_advice
from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryReplaced
from replica_cli.core.limiting import REMEDIES, limit_text
from replica_cli.core.position import file_number
from replica_cli.core.quarantine_texts import is_copy_refused, quarantine_advice
from replica_cli.core.reports.health import HealthCheck, HealthLevel, worst
from replica_cli.core.status import ENDED, Phase, TableState
from replica_cli.core.wording import copy_text, counted, duration, holder_text, short_reason, size
from replica_cli.health.retention import is_active_file, retention_seconds
from replica_cli.mysql.preflight.server_checks import expiry_seconds

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.proofs import ProofSummary
    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.limiting import Part
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.health.distance import Distance
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState

DEAD_SECONDS = 30.0
# A busy hour does not explain a lag of ten times the limit.
CRITICAL_LAG_FACTOR = 10
RECONNECT_SECONDS = 60.0
SHORT_RETENTION_SECONDS = 3600.0
SHORT_RETENTION_SHARE = 0.25
_NAMED_TABLES = 5
MANY_DEATHS = 3
_COPYING = frozenset({Phase.TRANSFERRING, Phase.STREAMING, Phase.CAUGHT_UP})

OK, WARNING, CRITICAL, UNKNOWN = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL, HealthLevel.UNKNOWN


def check_position(
    primary: PrimaryView, state: InstanceState, instance: str, *, error: ReplicaError | None = None
) -> HealthCheck:
    """Check that a position is saved and that the primary can continue from it.

    `error` is what the test of the saved position on the primary raised, None if it raised nothing.
    """
    if state.saved is None:
        hint = f"{former_name_advice(state.others)}; else " if state.others else ""
        hint += "`replica transfer`"
        return HealthCheck("position", CRITICAL, "no position is saved", hint, instance=instance)
    saved = state.saved.position
    error = error or primary.error
    if isinstance(error, PositionPurged) and state.is_alive:
        message = f"{error.message}; the running stream may have read it before: do not stop it until it has caught up"
        return HealthCheck("position", WARNING, message, instance=instance)
    if isinstance(error, PositionLost | PrimaryReplaced):
        # A running stream tests its position by itself, and ends if it is lost. The hint must not lead to a reset
        # before that.
        hint = (
            "the stream checks this itself, and ends if that is true: read its log"
            if state.is_alive
            else error.hint or ""
        )
        return HealthCheck("position", CRITICAL, error.message, hint, instance=instance)
    if error is not None or primary.facts is None or primary.position is None:
        # The check of the primary reports that the primary does not answer, and why.
        reason = f": {error}" if error and primary.facts is not None else ""
        message = f"{saved} is saved; it cannot be checked on the primary{reason}"
        return HealthCheck("position", UNKNOWN, message, instance=instance)
    if state.saved.source_identity != primary.facts.identity:
        message = f"{saved} belongs to {state.saved.source_identity}; {primary.facts.identity} has executed all of it"
        return HealthCheck("position", WARNING, f"{message}: the stream goes on by GTID", instance=instance)
    return HealthCheck("position", OK, f"{saved} is still on the primary", instance=instance)


def check_filters(state: InstanceState, selection: Selection, instance: str) -> HealthCheck | None:
    """Check that the filters are those that the position was saved with; None if no position is saved."""
    if state.saved is None:
        return None
    message = state.saved.other_filters(selection)
    if not message:
        return HealthCheck("filters", OK, str(selection), instance=instance)
    # A reset is refused while a process writes to the instance.
    before = "stop the stream, then " if state.is_alive else ""
    hint = f"{before}run `replica position reset --accept-filters` to accept them"
    return HealthCheck("filters", CRITICAL, message, hint, instance=instance)


def check_lag(
    distance: Distance,
    max_lag_seconds: float,
    instance: str,
    *,
    is_first_copy: bool = False,
    limiting_part: Part | None = None,
) -> HealthCheck:
    """Check the age of the oldest change that is not applied.

    A lag of more than `max_lag_seconds` is a warning, of more than `CRITICAL_LAG_FACTOR` times as much critical. No lag
    is known while `is_first_copy` says that the first copy is not finished. `limiting_part` is what limits a running
    stream, by its own report.
    """
    if is_first_copy:
        return HealthCheck("lag", WARNING, "unknown until the copy is done", instance=instance)
    bytes_text = "" if distance.size_bytes is None else f", {size(distance.size_bytes)} of binary log to apply"
    if distance.seconds is None:
        return HealthCheck("lag", UNKNOWN, f"unknown{bytes_text}", instance=instance)
    level = OK
    if distance.seconds > max_lag_seconds:
        level = CRITICAL if distance.seconds > CRITICAL_LAG_FACTOR * max_lag_seconds else WARNING
    message, hint = "caught up" if distance.is_reached else f"{duration(distance.seconds)}{bytes_text}", ""
    if level is not OK and limiting_part is not None:
        message, hint = f"{message}, {limit_text(limiting_part)}", REMEDIES[limiting_part]
    return HealthCheck("lag", level, message, hint, round(distance.seconds, 3), "s", instance)


def check_alive(state: InstanceState, instance: str) -> HealthCheck:
    """Check that a process sends heartbeats, and that it does not report a fault itself."""
    start = "`replica stream`"
    if state.beat is None:
        return HealthCheck("stream-alive", CRITICAL, "no stream has ever run", start, instance=instance)
    beat = state.beat
    level, message, hint = OK, f"{holder_text(beat.holder)} is {beat.phase.replace('_', ' ')}", ""
    age = duration(beat.age_seconds)
    if beat.phase in ENDED:
        # A stream that failed would fail again for the same reason.
        start = f"correct the cause, then {start}" if beat.phase == Phase.FAILED else start
        ending = f": {short_reason(beat.message, instance)}" if beat.message else ""
        level, hint = CRITICAL, start
        message = f"{holder_text(beat.holder)} {beat.phase} {age} ago{ending}"
    elif beat.age_seconds >= FRESH_SECONDS:
        level = CRITICAL if beat.age_seconds >= DEAD_SECONDS else WARNING
        message, hint = f"no heartbeat of {holder_text(beat.holder)} for {age}", start
    elif beat.is_pause_wanted or beat.phase == Phase.PAUSED:
        level, message, hint = WARNING, f"{holder_text(beat.holder)} is paused", ""
    elif beat.phase == Phase.RECONNECTING:
        silent = beat.snapshot.get("seconds_since_event")
        is_long = isinstance(silent, (int, float)) and silent + beat.age_seconds >= RECONNECT_SECONDS
        level = CRITICAL if is_long else WARNING
    deaths = beat.snapshot.get("deaths")
    if level is not CRITICAL and isinstance(deaths, int) and deaths > 0 and beat.phase not in ENDED:
        level = CRITICAL if deaths >= MANY_DEATHS else max(level, WARNING)
        how = beat.snapshot.get("death")
        message += f"; before it, the worker process died {counted(deaths, 'time')} in a row ({how})"
        hint = "read its log; SIGKILL is often the system's out-of-memory killer"
    return HealthCheck("stream-alive", level, message, hint, round(beat.age_seconds, 3), "s", instance)


def check_watch(state: InstanceState, instance: str, *, answered: Collection[str]) -> HealthCheck | None:
    """Check what the health monitor of the stream last reported, as the stream sees the servers.

    `answered` are the names of checks that were just made: the monitor's older results of these checks are left out.
    Return None if the monitor has reported nothing yet.
    """
    entries = state.beat.snapshot.get("findings") if state.beat is not None else None
    if state.beat is None or not isinstance(entries, list) or not entries:
        return None
    findings = [finding for each in entries if (finding := _parse_finding(each))[0] not in answered]
    faults = [finding for finding in findings if finding[1] is not OK]
    level = worst([OK, *(level for _, level, _ in faults)])
    message = "; ".join(f"{name}: {message}" for name, _, message in faults) or "nothing wrong"
    age_text = "" if state.is_alive else f", {duration(state.beat.age_seconds)} ago"
    message = f"the stream's own last check{age_text}: {message}"
    return HealthCheck("stream-watch", level, message, instance=instance)


def _parse_finding(entry: object) -> tuple[str, HealthLevel, str]:
    """Return name, level and message of one result in a heartbeat, level UNKNOWN if its format is not known."""
    if isinstance(entry, list) and len(entry) == 3 and entry[1] in HealthLevel.__members__:
        return str(entry[0]), HealthLevel[entry[1]], str(entry[2])
    return "heartbeat", UNKNOWN, "it contains a finding that this version cannot read"


def check_quarantine(state: InstanceState, instance: str, *, gone: Collection[TableName] = frozenset()) -> HealthCheck:
    """Check that no table is quarantined. A quarantined table is critical, because its changes are missing.

    `gone` are quarantined tables that the primary does not have any more, so they cannot be copied again.
    """
    names = [str(t.name) for t in state.quarantined]
    if not names:
        return HealthCheck("quarantined-tables", OK, "none", value=0, unit="tables", instance=instance)
    count = state.saved.skipped_count if state.saved else 0
    skipped = f", {counted(count, 'row')} skipped in all tables since the first copy" if count else ""
    first = state.quarantined[0]
    position = first.stopped_at
    why = f"stopped at {position or 'an unknown position'}: {short_reason(first.reason, first.name, position)}"
    message = f"{_name_list(names)}{skipped}; {why if len(names) == 1 else f'{first.name} {why}'}"
    refused = {t.name for t in state.quarantined if is_copy_refused(t.reason)}
    hint = quarantine_advice([t.name for t in state.quarantined], refused=refused, gone=gone)
    return HealthCheck("quarantined-tables", CRITICAL, message, hint, len(names), "tables", instance)


def check_rows(
    state: InstanceState, instance: str, max_age_seconds: float, unproven: Collection[TableName] = ()
) -> HealthCheck | None:
    """Check that no row is known to differ, and that no table was proven too long ago.

    Args:
        state: the state of the instance.
        instance: its name.
        max_age_seconds: how old a proof may be, 0 for no limit. With a limit each table must have a proof.
        unproven: the replicated tables that have none, as far as they are known.

    Returns:
        None if no rows were compared yet and none have to be.
    """
    proofs = state.proofs
    if proofs is None:
        return None
    if proofs.oldest is None and not (proofs.differences or proofs.has_too_many or max_age_seconds):
        return None
    if proofs.differences:
        message = f"{counted(proofs.differences, 'row')} differ from the primary's"
        hint = "`replica verify show` names them, `replica verify repair` repairs them"
        return HealthCheck("rows", WARNING, message, hint, proofs.differences, "rows", instance)
    message = "no row is known to differ"
    if proofs.oldest_age_seconds is not None:
        message += f"; {proofs.oldest} was proven {duration(proofs.oldest_age_seconds)} ago"
    doubt, hint = _doubt(proofs, max_age_seconds, unproven)
    return HealthCheck("rows", WARNING if doubt else OK, doubt or message, hint, 0, "rows", instance)


def _doubt(proofs: ProofSummary, max_age_seconds: float, unproven: Collection[TableName]) -> tuple[str, str]:
    """Return why rows may differ although none is known to, and what to do; empty texts if they may not."""
    if proofs.has_too_many:
        message = "the last comparison stopped because too many rows differed: other rows may differ too"
        return message, "`replica verify run --resume`"
    if not max_age_seconds:
        return "", ""
    if proofs.oldest_age_seconds is None:
        return "no rows were compared yet", "`replica verify run`"
    if unproven:
        hint = "`replica verify run`; `replica verify show` tells why a table could not be compared"
        return f"not proven yet: {_name_list([str(name) for name in sorted(unproven)])}", hint
    if proofs.oldest_age_seconds > max_age_seconds:
        age, limit = duration(proofs.oldest_age_seconds), duration(max_age_seconds)
        return f"{proofs.oldest} was proven {age} ago, more than {limit}", "`replica verify run`"
    return "", ""


def check_transfer(state: InstanceState, instance: str) -> HealthCheck:
    """Check that no copy is unfinished."""
    if not state.unfinished:
        return HealthCheck("unfinished-transfer", OK, "none", value=0, unit="tables", instance=instance)
    # A table whose rows are all copied only waits for the others, so it is not named.
    copied = {t.table for t in state.progress if t.state is TableState.COPIED}
    names = [name for t in state.unfinished if (name := str(t.name)) not in copied]
    message = f"not copied yet: {_name_list(names)}" if names else "the copy is not finished"
    if state.copy is not None:
        message += f"; {copy_text(state.copy)}"
    is_running = state.is_alive and state.beat is not None and state.beat.phase in _COPYING
    # Only the stream can continue a re-sync.
    command = "stream" if all(t.state is TableState.CATCHING_UP for t in state.unfinished) else "transfer --resume"
    hint = "" if is_running else f"`replica {command}`"
    level = WARNING if is_running else CRITICAL
    return HealthCheck("unfinished-transfer", level, message, hint, len(names), "tables", instance)


def check_retention(primary: PrimaryView, state: InstanceState, instance: str) -> HealthCheck | None:
    """Check how long the primary will keep the binary log file that the saved position needs (`retention_seconds`).

    Return None if no position is saved, or if the primary's position is not known.
    """
    if state.saved is None or primary.facts is None or primary.position is None:
        return None
    saved = state.saved.position
    limit, left = expiry_seconds(primary.facts), retention_seconds(primary, state)
    if is_active_file(primary, state):
        message, unit = f"{saved.file} is the active file, which is not purged", "" if left is None else "s"
        return HealthCheck("retention-left", OK, message, value=left, unit=unit, instance=instance)
    if by_size := _size_left(primary, saved.file, instance):
        return by_size
    if limit is None:
        return HealthCheck("retention-left", OK, "binlog files are not purged by age", instance=instance)
    if left is None:
        return HealthCheck("retention-left", UNKNOWN, "the position's age cannot be read", instance=instance)
    level = OK
    if left < max(SHORT_RETENTION_SECONDS, SHORT_RETENTION_SHARE * limit):
        level = CRITICAL if left < SHORT_RETENTION_SECONDS / 2 else WARNING
    name = (
        "binlog_expire_logs_seconds" if "binlog_expire_logs_seconds" in primary.facts.variables else "expire_logs_days"
    )
    hint = f"SET GLOBAL {name} = 0;  -- on the primary, until it has caught up" if level else ""
    message = f"{saved.file or saved} may be purged in {duration(left)} (kept for {duration(limit)})"
    return HealthCheck("retention-left", level, message, hint, round(left, 3), "s", instance)


def _size_left(primary: PrimaryView, file: str, instance: str) -> HealthCheck | None:
    """Check the limit of MariaDB 11.4 and later for the size of all binary logs; None if it is off or far away."""
    facts = primary.facts
    limit = int(facts.variables.get("max_binlog_total_size", 0)) if facts is not None else 0
    if not limit or file not in {f.name for f in primary.files}:
        return None
    needed = sum(f.size for f in primary.files if file_number(f.name) >= file_number(file))
    left = limit - needed
    if left > SHORT_RETENTION_SHARE * limit:
        return None
    level = CRITICAL if left < SHORT_RETENTION_SHARE / 2 * limit else WARNING
    message = (
        f"{file} may be purged after {size(max(left, 0))} more of binary log (max_binlog_total_size is {size(limit)})"
    )
    hint = "SET GLOBAL max_binlog_total_size = 0;  -- on the primary, until it has caught up"
    return HealthCheck("retention-left", level, message, hint, max(left, 0), "bytes", instance)


def _name_list(names: list[str]) -> str:
    more = len(names) - _NAMED_TABLES
    return ", ".join(names[:_NAMED_TABLES]) + (f" and {more} more" if more > 0 else "")
