"""Quarantine tables of the primary that the secondary does not have although it has a saved position.

The stream uses it in the worker's main thread. Tables that were made or renamed after the position come with the log.
Other tables were dropped on the secondary, or their schema is gone. A copy that the user did not ask for could bring
back what was dropped on purpose, and without a report the loss would show only at the table's next row. So these tables
are quarantined, with the command that copies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_records import QuarantineCause
from replica_cli.core.names import TableName
from replica_cli.core.status import TableState
from replica_cli.mysql.binlog.log_state import end_of_log
from replica_cli.mysql.catalog.table_definitions import read_tables
from replica_cli.transfer.errors import TablesMissing

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Settings
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Row, Session
    from replica_cli.runtime.primary_session import PrimarySession

_NAMES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type NOT LIKE '%VIEW'"
_REASON = "it is not on the secondary, and the primary's log did not create it"


class MissingTables:
    """The tables that are missing when the stream connects: `names`. They are checked again when `end` is applied.

    The end of the log is read after the list of tables. If it were read first, a table that is made or renamed between
    the two would come with the log only after that end.
    """

    def __init__(
        self, settings: Settings, primary: PrimarySession, facts: ServerFacts, secondary: Session, store: TableLifecycle
    ) -> None:
        self._settings = settings
        self._primary = primary
        self._facts = facts
        self._secondary = secondary
        self._store = store
        self._is_confirmed = False
        self.names = self._missing()
        self.end = end_of_log(primary.session, facts)

    def quarantine_missing(self, position: Position, windows: Windows) -> None:
        """Quarantine the tables that are missing at two checks in a row; called when the stream has applied `end`.

        The first call moves `end` if tables are still missing; the call at the new `end` quarantines them. The primary
        may be far ahead of the stream: a table that was renamed after the end of the log can already have its new name
        on the primary and not yet on the secondary. Then the log brings it before the second check.

        Args:
            position: the position that the stream has applied; the changes of the tables are missing from there.
            windows: the stream's records of tables, which get the new ones.

        Raises:
            TablesMissing: tables are missing, and the policy of one is to stop if it fails.
            ServerError: a server does not answer.

        """
        self.names &= self._missing()
        if self.names and not self._is_confirmed:
            self.end, self._is_confirmed = end_of_log(self._primary.session, self._facts), True
            return
        missing = sorted(self.names)
        if any(self._settings.apply.stops_for(name) for name in missing):
            raise TablesMissing(self._secondary.server.name, missing)
        records = self._store.quarantine([QuarantineCause(n, _REASON, stopped_at=position) for n in missing])
        windows.records.update({record.name: record for record in records})
        self.names = frozenset()

    def _missing(self) -> frozenset[TableName]:
        # Tables with another state wait for their copy, or are quarantined already.
        excluded = {n for n, record in self._store.load().items() if record.state is not TableState.COPIED}
        targets = {
            name: target
            for name in _names(self._primary.ask(_NAMES))
            if name not in excluded and (target := self._settings.selection.target(name)) is not None
        }
        # The secondary may store names in lower case.
        listed = {str(name).lower() for name in _names(self._secondary.rows(_NAMES))}
        unlisted = {name: target for name, target in targets.items() if str(target).lower() not in listed}
        # information_schema may leave out a table that is altered at that moment.
        existing = read_tables(self._secondary, sorted(unlisted.values()))
        return frozenset(name for name, target in unlisted.items() if target not in existing)


def _names(rows: Collection[Row]) -> list[TableName]:
    return [TableName(str(schema), str(table)) for schema, table in rows]
