"""Write and read the heartbeat row: the status of the process, for `health`, `position show` and `pause`."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from replica_cli.core.limiting import known_part
from replica_cli.core.status import CopiedTable, CopyProgress, CopyStatus, CopyStep, Phase, TableProgress, TableState
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.limiting import Part
    from replica_cli.core.status import WorkerStatus
    from replica_cli.mysql.session import Session

HOLDER_CHARACTERS = 255
# A process writes a heartbeat when something changed, at most once a second, and this often if nothing changes.
IDLE_BEAT_SECONDS = 10.0
# A process whose heartbeat is older has stopped, is cut off or is frozen. A long statement may delay a heartbeat.
FRESH_SECONDS = 15.0
_DEFAULTS = TableProgress("")
_FIELDS = tuple(f.name for f in fields(TableProgress))


@dataclass(frozen=True, slots=True)
class Beat:
    """One instance's heartbeat, as read from the secondary.

    `beat_at` and `moved_at` are UTC text by the secondary's clock. The ages, in seconds, are by the same clock, so that
    the clocks of two machines are never compared. `snapshot` is the WorkerStatus as a JSON object.
    """

    holder: str
    connection_id: int
    beat_at: str
    moved_at: str | None
    phase: str
    is_pause_wanted: bool
    snapshot: dict[str, Any]
    age_seconds: float
    moved_age_seconds: float | None

    @property
    def copied(self) -> tuple[CopiedTable, ...]:
        """Return the tables that the process copied in the last minute, none if it does not report them."""
        tables = self.snapshot.get("copied")
        try:
            return tuple(CopiedTable(str(t["table"]), int(t["rows"]), str(t["at"])) for t in tables or ())
        except (KeyError, TypeError, ValueError):
            return ()

    @property
    def message(self) -> str:
        """Return what the process reports that it waits for or tries again, "" if nothing."""
        return str(self.snapshot.get("message") or "")

    @property
    def limiting_part(self) -> Part | None:
        """Return the part that limits the stream, None if none does or the process does not report it."""
        return known_part(self.snapshot.get("limiting_part"))

    @property
    def rows_uncommitted(self) -> int:
        """Return how many rows of an uncommitted transaction are applied, 0 if the process does not report it."""
        count = self.snapshot.get("rows_uncommitted")
        return count if isinstance(count, int) else 0

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """Return the rows and the transactions per second that the process reports; None if it does not report them.

        While it makes the first copy, the rows are those that are copied, and there are no transactions.
        """
        if self.phase == Phase.TRANSFERRING:
            return (self.transfer.rows_per_second if self.transfer is not None else None, None)
        return _number(self.snapshot.get("rows_per_second")), _number(self.snapshot.get("transactions_per_second"))

    @property
    def transfer(self) -> CopyProgress | None:
        """Return the copy that the process reported last, None if there is none or its form is unknown."""
        data = self.snapshot.get("transfer")
        try:
            return None if data is None else _transfer(data)
        except (KeyError, TypeError, ValueError):
            return None


def this_holder() -> str:
    """Return the name with which this process signs its heartbeat: `host:pid`."""
    pid = f":{os.getpid()}"
    return socket.gethostname()[: HOLDER_CHARACTERS - len(pid)] + pid


class BeatStore:
    """One instance's row in `stream_status`, on a session of its own: it is never part of the row transaction."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.stream_status"
        self._instance = instance
        self._last_progress: tuple[object, ...] | None = None
        self._most_uncommitted = 0

    def beat(
        self,
        status: WorkerStatus,
        *,
        connection_id: int = 0,
        connections: Sequence[int] = (),
        holder: str | None = None,
    ) -> None:
        """Write the heartbeat.

        `connection_id` is that of the writing session. `connections` are all connections of the process, so that a
        standby can kill them if the process is frozen. `moved_at` changes only when the work has advanced: the
        position, the rows, or the rows and steps of a copy. Rows that are not committed count only if they are more
        than before, because a transaction that is tried again and again does not advance. A request to pause stays as
        it is: the heartbeat does not write it.
        """
        transfer = _transfer_data(status.transfer) if status.transfer is not None else None
        small = asdict(replace(status, transfer=None, metrics=None))
        del small["metrics"]  # they change all the time, and are read on this machine alone
        snapshot = {**small, "transfer": transfer, "connections": list(connections)}
        progress = _progress(status)
        if is_new := progress != self._last_progress:
            self._most_uncommitted = 0
        has_moved = is_new or status.rows_uncommitted > self._most_uncommitted
        moved_at = "UTC_TIMESTAMP(6)" if has_moved else "moved_at"
        self._session.execute(
            f"INSERT INTO {self._table} (instance, holder, connection_id, beat_at, moved_at, phase, snapshot)"
            " VALUES (%s, %s, %s, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), %s, %s) ON DUPLICATE KEY UPDATE"
            " holder = VALUES(holder), connection_id = VALUES(connection_id), beat_at = VALUES(beat_at),"
            f" moved_at = {moved_at}, phase = VALUES(phase), snapshot = VALUES(snapshot)",
            self._instance, holder or this_holder(), connection_id, str(status.phase), json.dumps(snapshot),
        )  # fmt: skip
        self._last_progress = progress
        self._most_uncommitted = max(self._most_uncommitted, status.rows_uncommitted)

    def touch(self) -> bool:
        """Write only the time of the heartbeat; return False, with nothing done, if the row is another process's."""
        row_count = self._session.execute(
            f"UPDATE {self._table} SET beat_at = UTC_TIMESTAMP(6) WHERE instance = %s AND holder = %s",
            self._instance, this_holder(),
        )  # fmt: skip
        return row_count == 1

    def is_pause_wanted(self) -> bool:
        """Return True if a pause of this instance is requested."""
        row = self._session.row(f"SELECT is_pause_wanted FROM {self._table} WHERE instance = %s", self._instance)
        return bool(row and row[0])

    def load(self) -> Beat | None:
        """Return the heartbeat, None if no process has ever written one."""
        row = self._session.row(
            "SELECT holder, connection_id, beat_at, moved_at, phase, is_pause_wanted, snapshot,"
            " TIMESTAMPDIFF(MICROSECOND, beat_at, UTC_TIMESTAMP(6)),"
            f" TIMESTAMPDIFF(MICROSECOND, moved_at, UTC_TIMESTAMP(6)) FROM {self._table} WHERE instance = %s",
            self._instance,
        )
        if row is None:
            return None
        holder, connection_id, beat_at, moved_at, phase, pause, snapshot, age, moved_age = row
        return Beat(
            str(holder),
            int(connection_id),
            str(beat_at),
            None if moved_at is None else str(moved_at),
            str(phase),
            bool(pause),
            _snapshot(snapshot),
            int(age) / 1e6,
            None if moved_age is None else int(moved_age) / 1e6,
        )

    def set_pause(self, is_wanted: bool) -> bool:  # noqa: FBT001 - it sets only this; `set_pause(True)` is clear
        """Request a pause, or its end; return False if no process has ever written a heartbeat, so that none hears."""
        row_count = self._session.execute(
            f"UPDATE {self._table} SET is_pause_wanted = %s WHERE instance = %s", int(is_wanted), self._instance
        )
        return row_count == 1

    def forget(self) -> None:
        """Delete the row."""
        self._session.execute(f"DELETE FROM {self._table} WHERE instance = %s", self._instance)


def _progress(status: WorkerStatus) -> tuple[object, ...]:
    copied = status.transfer.rows_copied if status.transfer else None
    # A step that begins is an advance. How long the step takes is in `step_seconds`.
    steps = tuple((t.table, t.step) for t in status.transfer.status.steps) if status.transfer else ()
    return (status.position, status.rows_total, status.transactions_total, copied, steps)


def _transfer_data(progress: CopyProgress) -> dict[str, Any]:
    """Return a copy's progress for the heartbeat, without the fields that have their default.

    The status reports the copies that have ended.
    """
    tables = [{n: v for n in _FIELDS if (v := getattr(t, n)) != getattr(_DEFAULTS, n)} for t in progress.tables]
    data = {**asdict(replace(progress, tables=(), totals=None, ended=())), "tables": tables}
    if progress.totals is not None:
        data["totals"] = asdict(replace(progress.totals, steps=()))
    return data


def _transfer(data: Any) -> CopyProgress:
    tables = tuple(
        TableProgress(
            str(t["table"]),
            int(t.get("rows_copied", 0)),
            None if t.get("rows_estimated") is None else int(t["rows_estimated"]),
            int(t.get("bytes_copied", 0)),
            TableState(t.get("state", TableState.PENDING)),
            # Older versions did not report the step.
            CopyStep(t.get("step", CopyStep.ROWS)),
            float(t.get("step_seconds", 0.0)),
            str(t.get("waits_for", "")),
        )
        for t in data["tables"]
    )
    return CopyProgress(
        str(data["instance"]), tables, float(data["elapsed_seconds"]), float(data["rows_per_second"]),
        int(data["errors"]), totals=_totals(data.get("totals"), tables),
    )  # fmt: skip


def _totals(data: Any, tables: tuple[TableProgress, ...]) -> CopyStatus | None:
    # Older versions reported each table instead.
    if data is None:
        return None
    estimated, rate = data["rows_estimated"], data["rows_per_second"]
    return CopyStatus(
        int(data["tables"]), int(data["tables_done"]), int(data["rows_copied"]),
        None if estimated is None else int(estimated), None if rate is None else float(rate),
        tuple(t for t in tables if not t.is_counted),
    )  # fmt: skip


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _snapshot(text: object) -> dict[str, Any]:
    # Another version may have written the text, or somebody by hand: a heartbeat that cannot be read still has its age.
    try:
        value = json.loads(str(text))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
