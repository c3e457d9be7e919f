"""Try definitions as scratch tables, so that a refusal of the secondary is known before anything is dropped.

A scratch table is empty and lives for a moment. If the process is killed in that moment, the next copy of the instance
drops the scratch table.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from functools import partial
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, Interrupted
from replica_cli.core.reports.transfer import TableAction
from replica_cli.core.table import TableName
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES, Remedy, ServerError
from replica_cli.side_by_side import in_threads
from replica_cli.sqlbuilder.definitions.create_statements import with_other_name
from replica_cli.transfer.connections import Endpoints, allow_writing
from replica_cli.transfer.errors import TablesRefused
from replica_cli.transfer.lock_waits import LockWaits
from replica_cli.transfer.make_tables import drop, make_as
from replica_cli.transfer.table_copy import TableCopy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from replica_cli.core.settings import Network, Server
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.copy_definition import CopyDefinition
    from replica_cli.transfer.planning.plan import CopyPlan

logger = logging.getLogger(__name__)

_SCRATCH_TABLES = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ({}) AND {}"
_MISSING_OBJECT = frozenset({ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES})


def try_definitions(plan: CopyPlan, secondary: Server, network: Network, *, owner: str, stop: StopToken) -> None:
    """Raise TablesRefused if the secondary cannot make the tables that a plan would replace. Copy nothing.

    `owner` says for whom the tables are tried: for the copy of an instance, or for a request of such a copy. It is part
    of the names of the scratch tables, so that two processes can try the same table.
    """
    copies = [TableCopy(t) for t in plan.tables]
    endpoints = Endpoints(secondary, secondary, network, plan.packet_limit, allow_writing)
    with endpoints.open_secondary() as session:
        check_definitions(plan, copies, owner, session, LockWaits(endpoints, lambda: stop.is_set))


def check_definitions(
    plan: CopyPlan, copies: list[TableCopy], owner: str, secondary: Session, waits: LockWaits
) -> None:
    """Raise TablesRefused if the secondary cannot make tables that the copy would replace."""
    drop_scratch_tables(secondary, {table.target.schema for table in copies}, owner)
    to_try = [table for table in copies if may_lose(table)]
    if not to_try:
        return
    log(
        logger, logging.INFO, Tag.TRANSFER, "checking that the secondary can make %s",
        counted(len(to_try), "table"), instance=plan.instance,
    )  # fmt: skip

    def find_refused_in(part: list[TableCopy]) -> dict[TableName, str]:
        with waits.endpoints.open_secondary() as session:
            return find_refused(session, part, owner, waits)

    count = min(plan.settings.workers, len(to_try))
    with in_threads(partial(find_refused_in, to_try[first::count]) for first in range(count)) as tries:
        parts = [each.result() for each in tries]
    if refused := {name: reason for part in parts for name, reason in sorted(part.items())}:
        raise TablesRefused(refused, note="nothing was changed; change the secondary so that it can make them, or ")


def try_out(secondary: Session, definition: CopyDefinition, owner: str) -> None:
    """Make the table as a scratch table and drop it. Raises the same errors as `make_as`."""
    scratch = scratch_name(definition.target, owner)
    # In MySQL the name of a check is unique in a schema, and the existing table uses it.
    is_free = secondary.is_mariadb
    create = with_other_name(definition.statements.create, definition.target, scratch, keeps_check_names=is_free)
    drop(secondary, scratch)
    try:
        make_as(secondary, definition, scratch, create)
    finally:
        # The error of `make_as` is the one to report. A lost connection shows at the next statement, and the next copy
        # drops the table.
        with contextlib.suppress(ServerError):
            drop(secondary, scratch)


def try_if_needed(secondary: Session, table: TableCopy, owner: str) -> None:
    """Try the definition of a table as a scratch table, unless that was done. Raises the same errors as `make_as`."""
    if not table.is_accepted:
        try_out(secondary, table.definition, owner)
        table.accept()


def may_lose(table: TableCopy) -> bool:
    """Return True if the copy would drop an existing table, and the new definition was not tried yet."""
    return not table.is_accepted and table.planned.action in (TableAction.REPLACE, TableAction.FILL)


def find_refused(secondary: Session, copies: Iterable[TableCopy], owner: str, waits: LockWaits) -> dict[TableName, str]:
    """Try tables as scratch tables; return those that the secondary refuses, each with the reason.

    Errors that may go away are not returned (a full disk, a sequence that is not made yet): the worker tries these
    tables again.

    Raises:
        Interrupted: a stop was asked for.
        ServerError: the connection is lost.
    """
    refused = {}
    for table in copies:
        if waits.is_over():
            raise Interrupted("stopped before the copy began")
        try:
            # No other client uses the scratch table. It can only wait for a lock of the whole server, such as that of a
            # backup that blocks all DDL.
            waits.run(secondary, table.name, partial(try_out, secondary, table.definition, owner))
        except ApplyRefused as error:
            refused[table.name] = error.message
        except ServerError as error:
            if error.is_connection_lost:
                raise
            if error.remedy is Remedy.FATAL and error.errno not in _MISSING_OBJECT:
                refused[table.name] = error.message
        else:
            table.accept()
    return refused


def drop_scratch_tables(secondary: Session, schemas: Collection[str], owner: str) -> None:
    """Drop the scratch tables that a killed process has left in these schemas. Raises ServerError."""
    if not schemas:
        return
    prefix = _scratch_prefix(owner)
    names = ", ".join(secondary.escape(schema) for schema in sorted(schemas))
    condition = f"LEFT(table_name, {len(prefix)}) = '{prefix}'"
    for schema, table in secondary.rows(_SCRATCH_TABLES.format(names, condition)):
        drop(secondary, TableName(str(schema), str(table)))


def scratch_name(target: TableName, owner: str) -> TableName:
    """Return the name of a table's scratch table.

    It is in the same schema, so that our privileges in that schema are tried as well. It is at least as long as the
    table's own name, because the server makes the names of checks from it.
    """
    name = f"{_scratch_prefix(owner)}{hashlib.sha256(str(target).encode()).hexdigest()[:16]}"
    return TableName(target.schema, name.ljust(len(target.table), "_"))


def _scratch_prefix(owner: str) -> str:
    return f"_replica_{hashlib.sha256(owner.encode()).hexdigest()[:8]}_"
