"""Find out if an error comes from a state schema that a user dropped, emptied or altered while a process used it."""

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

    The caller has used the state before, so a table or a position row that is missing existed then. The server's error
    alone would not say what to do, and a missing position row would look like one that another process took over. An
    error that is explained by another one is logged.

    Args:
        error: the error to explain.
        settings: the settings of the process.
        server: the secondary.
        last: the last position that was committed, if a stream knows it.

    """
    if not (isinstance(error, Fenced) or (isinstance(error, ServerError) and error.remedy is Remedy.FATAL)):
        return error
    explanation = _what_is_broken(error, settings, server, last)
    if explanation is not error and isinstance(error, ServerError):
        log(logger, logging.WARNING, Tag.WARN, "%s", error.message, instance=server.name)
    return explanation


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
    """Return the error about state that existed before and is missing.

    Args:
        settings: the settings of the process.
        server: the secondary.
        what: what is missing, in words that fit the message.
        last: the last position that was committed, if a stream knows it.

    """
    hint = set_aside_hint(settings.state_schema, ())
    if last is not None and last.file:
        # The states of single tables are gone as well, and nothing else shows which of them lack rows.
        hint = (
            f"if no table was quarantined or being re-synced, `replica position reset --to {last.file}:{last.pos}` "
            f"makes the state again, and `replica stream` goes on after the last commit; else {hint}"
        )
    return StateBroken(
        f"{server.name}: the state schema `{settings.state_schema}` {what} any more: somebody dropped or "
        "emptied it while this process used it",
        hint=f"nothing after the last commit was applied; {hint}",
    )


def position_row_lost(settings: Settings, server: Server, last: Position | None) -> StateBroken:
    """Return the error about a position row that existed before and is missing."""
    return state_lost(settings, server, f"has no position row of {server.name}", last)
