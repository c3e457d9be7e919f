"""Begins and ends the HTTP server of a command: a thread beside the work, which it never holds up."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.api.board import Board
from replica_cli.api.events import EventLog
from replica_cli.api.listener import Listener, open_listener
from replica_cli.logs import Tag, log
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.settings import Server, Settings
    from replica_cli.supervisor.control import StreamControl

logger = logging.getLogger(__name__)

# With this niceness the thread gets a third of the processor time of a thread with the usual one, if both want it. With
# less time, a busy machine would not answer a probe in time.
_NICENESS = 5
_END_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server needs of its command.

    Attributes:
        settings: returns the settings that are in use at the moment.
        secondaries: those that the command works on.
        control: the running stream, None for a transfer.
        stop: ends the server.
    """

    settings: Callable[[], Settings]
    secondaries: tuple[Server, ...]
    board: Board
    events: EventLog
    control: StreamControl | None = None
    stop: StopToken = field(default_factory=StopToken)


@contextlib.contextmanager
def serving(
    settings: Settings,
    secondaries: tuple[Server, ...],
    *,
    control: StreamControl | None = None,
) -> Iterator[Board]:
    """Serve HTTP while the context lasts, and give the board that takes the snapshots.

    Args:
        settings: the settings of the command, with an address to listen on.
        secondaries: those that the command works on.
        control: the running stream, None for a transfer.

    Raises:
        ConfigurationError: the address cannot be used. Nothing has begun then.

    """
    listener = open_listener(settings.http)
    events = EventLog()
    board = Board([s.name for s in secondaries], events.note)
    parts = Parts(
        settings=(lambda: settings) if control is None else (lambda: control.settings),
        secondaries=secondaries,
        board=board,
        events=events,
        control=control,
    )
    thread = threading.Thread(target=_run, args=(listener, parts), name="http", daemon=True)
    with contextlib.closing(listener), _hearing_the_log(events):
        thread.start()
        try:
            yield board
        finally:
            parts.stop.request()
            thread.join(_END_SECONDS)


@contextlib.contextmanager
def _hearing_the_log(events: EventLog) -> Iterator[None]:
    logging.root.addHandler(events)
    try:
        yield
    finally:
        logging.root.removeHandler(events)


def _run(listener: Listener, parts: Parts) -> None:
    _be_nice()
    try:
        # Loading takes longer than the rest of a start, so it is done beside it.
        from replica_cli.api.server import run_server  # noqa: PLC0415 - as said

        run_server(listener, parts)
    except Exception:
        # The stream goes on: what it does is more important than what is said about it.
        logger.exception("HTTP: the server has failed")
        log(logger, logging.ERROR, Tag.ERROR, "HTTP: nothing answers on %s until a new start", listener.url)
    finally:
        # Clients get an error at once, instead of waiting for an answer that never comes.
        listener.close()


def _be_nice() -> None:
    """Let the threads of HTTP have the processor when nothing else needs it. Linux does so for a thread alone."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
