"""Whether an error comes from a state schema that somebody dropped, emptied or altered while a process used it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.layout import set_aside_hint
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.schema import existing_state_tables, state_tables
from replica_cli.core.errors import Fenced, ReplicaError, StateBroken
from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.session import connect

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server, Settings

logger = logging.getLogger(__name__)


def explained(error: ReplicaError, settings: Settings, server: Server, last: Position | None = None) -> ReplicaError:
    """Return what is wrong with the state schema if that explains an error, else the error itself.

    The caller has used the state before: a table or a position row that is missing now was there. An error of the
    server alone would not say what to do, and a row that is gone would look like one that another process took.
    The error itself is logged. `last` is the last position that was committed, if a stream knows it.
    """
    if not (isinstance(error, Fenced) or (isinstance(error, ServerError) and error.remedy is Remedy.FATAL)):
        return error
    found = _what_is_broken(error, settings, server, last)
    if found is not error and isinstance(error, ServerError):
        log(logger, logging.WARNING, Tag.WARN, "%s", error.message, instance=server.name)
    return found


def _what_is_broken(error: ReplicaError, settings: Settings, server: Server, last: Position | None) -> ReplicaError:
    try:
        with connect(server, settings.network) as session:
            existing = existing_state_tables(session, settings.state_schema)
            if missing := sorted(state_tables() - existing):
                return state_lost(settings, server, f"has no table {', '.join(missing)}", last)
            if PositionStore(session, settings.state_schema, server.name).load() is None:
                return position_row_lost(settings, server, last)
    except StateBroken as broken:
        return broken
    except ReplicaError:
        return error
    return error


def state_lost(settings: Settings, server: Server, what: str, last: Position | None = None) -> StateBroken:
    """Return the error of a state that was there a moment ago; `last` is the last position that was committed."""
    hint = set_aside_hint(settings.state_schema, ())
    if last is not None and last.file:
        # What the state said of single tables is gone as well, and nothing else tells which of them lack rows.
        hint = (
            f"if no table was quarantined or joined the stream, `replica position reset --to {last.file}:{last.pos}` "
            f"makes the state again, and `replica stream` goes on after the last commit; else {hint}"
        )
    return StateBroken(
        f"{server.name}: the state schema `{settings.state_schema}` {what} any more: somebody dropped or "
        "emptied it while this process used it",
        hint=f"nothing after the last commit was applied; {hint}",
    )


def position_row_lost(settings: Settings, server: Server, last: Position | None) -> StateBroken:
    """Return the error of a position row that was there a moment ago."""
    return state_lost(settings, server, f"has no position row of {server.name}", last)
