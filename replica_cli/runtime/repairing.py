"""Repair rows that differ, as the process that writes.

That is the worker, between two batches, or the command itself if no stream runs.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.proofs import ProofStore
from replica_cli.checkpoint.repairs import RepairRecord, RepairStore
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.quarantine_texts import copy_advice
from replica_cli.core.reports.repair import RepairOutcome
from replica_cli.core.selection import pattern_of
from replica_cli.core.status import TableState
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, ServerError
from replica_cli.mysql.session import connect
from replica_cli.runtime.log_part import LogParts
from replica_cli.runtime.verify_tables import Instance, read_named_tables
from replica_cli.verify.pairs import Pairs, PairSessions
from replica_cli.verify.repair import PREPARATION, RepairedRow, RowRepair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replica_cli.checkpoint.repairs import WantedRepair
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.verification import Difference
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.verify_tables import ComparedTables
    from replica_cli.stop import StopToken
    from replica_cli.verify.tables import VerifiedTable

# How many rows are written in one commit, and how many differences are read at once.
_ROWS_AT_ONCE = 100
# How many pairs of snapshots are opened until one tells what the rows are. In most cases the first one does.
_ATTEMPTS = 15
# MariaDB checks constraints of rows that the primary has accepted, unless a session turns that off.
_MARIADB_PREPARATION = (b"SET SESSION check_constraint_checks = 0",)


@dataclass(frozen=True, slots=True)
class _Sessions:
    """The sessions of one repair: both snapshots, the writer, and the state."""

    primary: Session
    secondary: Session
    writer: Session
    state: Session


@dataclass(frozen=True, slots=True)
class Repairer:
    """A process that holds the writer's lock of an instance and applies nothing meanwhile.

    Attributes:
        settings: the settings of the process.
        server: the secondary.
        token: the fencing token that each commit checks.
        guard: raises if this process must not write any more; it is called with the session that writes.
        stop: ends the repair between two commits.
    """

    settings: Settings
    server: Server
    token: int
    guard: Callable[[Session], None]
    stop: StopToken

    def repair(self, wanted: WantedRepair, seconds: float) -> bool:
        """Repair rows for some seconds. Return True if all rows are done.

        Raises:
            Fenced, LockLost: another process has taken over.
            PositionLost: the primary no longer has the log from the saved position on.
            ServerError: a server does not answer.
        """
        deadline = time.monotonic() + seconds
        settings, server = self.settings, self.server
        with ExitStack() as stack:
            servers = (settings.primary, server, server, server)
            sessions = _Sessions(*(stack.enter_context(connect(each, settings.network)) for each in servers))
            self.guard(sessions.writer)
            more = _MARIADB_PREPARATION if sessions.writer.is_mariadb else ()
            sessions.writer.execute_each([*PREPARATION, *more])
            proofs = ProofStore(sessions.state, settings.state_schema, server.name)
            pattern = pattern_of(wanted.tables) if wanted.tables else None
            names = proofs.differing_tables(pattern)
            compared = read_named_tables(Instance(settings, server, sessions.primary, sessions.state), names)
            return _Repair(self, wanted, sessions, proofs, compared).run(deadline, names)


class _Repair:
    """One repair with open sessions."""

    def __init__(
        self,
        repairer: Repairer,
        wanted: WantedRepair,
        sessions: _Sessions,
        proofs: ProofStore,
        compared: ComparedTables,
    ) -> None:
        settings, server = repairer.settings, repairer.server
        key = (settings.state_schema, server.name)
        self._token = repairer.token
        self._wanted = wanted
        self._sessions = sessions
        self._compared = compared
        self._stop = repairer.stop
        self._positions = PositionStore(sessions.state, *key)
        self._proofs = proofs
        self._store = RepairStore(sessions.state, *key)
        self._records = TableLifecycle(sessions.state, *key).load()
        pair_sessions = PairSessions.of(sessions.primary, sessions.secondary, sessions.state, *key)
        self._pairs = Pairs(pair_sessions, compared.facts, LogParts(settings, compared.facts).read, repairer.stop)
        self._entry_number = self._store.entry_count(wanted.number)

    def run(self, deadline: float, names: Sequence[TableName]) -> bool:
        tables = {t.name: t for t in self._compared.tables}
        while not self._stop.is_set and time.monotonic() < deadline:
            page = self._proofs.unrepaired(self._wanted.number, self._wanted.kinds, names, _ROWS_AT_ONCE)
            if not page:
                return True
            for name, differences in groupby(page, lambda d: d.table):
                self._repair(name, tables.get(name), list(differences))
        return False

    def _repair(self, name: TableName, table: VerifiedTable | None, differences: list[Difference]) -> None:
        saved = self._positions.load()
        refusal = _refusal(self._records.get(name), table, saved.position if saved else None)
        refusal = refusal or self._compared.refused.get(name, "")
        if not refusal and name in self._compared.gone:
            refusal = "the primary does not have the table any more: `replica verify run` forgets its rows"
        if refusal or table is None:
            self._refuse(differences, refusal)
            return
        try:
            self._repair_at(name, table, differences)
        except ServerError as error:
            if error.errno != ER_LOCK_WAIT_TIMEOUT:
                raise
            self._refuse(differences, f"another session has locked the table: {error.text}")

    def _repair_at(self, name: TableName, table: VerifiedTable, differences: list[Difference]) -> None:
        """Repair rows at the secondary's position, in the first pair of snapshots that tells what they are."""
        keys = {tuple(literal for _, literal in d.key) for d in differences}
        for attempts_left in reversed(range(_ATTEMPTS)):
            with self._pairs.open([table], {name: keys}, keeps_values=True, waits=False) as pair:
                if name in pair.touched.uncertain and attempts_left:
                    continue

                def commit(rows: Sequence[RepairedRow], position: Position = pair.position) -> None:
                    self._commit(rows, position)

                RowRepair(table, self._sessions.primary, self._sessions.writer, commit).repair(pair, differences)
                return

    def _refuse(self, differences: Iterable[Difference], reason: str) -> None:
        self._sessions.writer.begin()
        saved = self._positions.load()
        if saved is not None:
            self._commit([RepairedRow(d, RepairOutcome.REFUSED, reason) for d in differences], saved.position)

    def _commit(self, rows: Sequence[RepairedRow], position: Position) -> None:
        """Commit the open transaction, with the position row, the records of the rows, and without their differences.

        Raises Fenced, after a rollback, if another process has taken over.
        """
        writer = self._sessions.writer
        statements = [self._positions.touch_statement(self._token)]
        for row in rows:
            self._entry_number += 1
            record = RepairRecord(row.difference, row.outcome, row.reason, position)
            statements.append(self._store.log_statement(self._wanted.number, self._entry_number, record))
            if row.outcome is not RepairOutcome.REFUSED:
                statements.append(self._proofs.forget_statement(row.difference))
        try:
            self._positions.check_advanced(writer.execute_each(statements)[0])
        except BaseException:
            writer.rollback()
            raise
        writer.commit()


def _refusal(record: TableRecord | None, table: VerifiedTable | None, position: Position | None) -> str:
    """Return why the rows of a table are not repaired; empty if they can be."""
    if record is not None and record.state is TableState.QUARANTINED:
        return f"the table is quarantined: {copy_advice([record.name])}"
    if record is not None and record.state is not TableState.COPIED:
        return "the copy of the table is not finished"
    if record is not None and position is not None and (reason := record.why_inexact(position)):
        return reason
    if table is not None and table.is_versioned:
        return f"the table keeps all versions of its rows: {copy_advice([table.name])}"
    return ""
