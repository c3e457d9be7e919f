"""Runs the application in an event loop of its own. `serving` calls it in a thread, and loads it there."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import uvicorn

from replica_cli import __version__
from replica_cli.api.app import make_app
from replica_cli.api.board import SAMPLE_SECONDS
from replica_cli.api.connections import BoundedProtocol, Connections
from replica_cli.api.context import Context
from replica_cli.api.jobs import Jobs
from replica_cli.api.metrics import CONTENT_TYPE_LATEST, metrics_text, registry_of
from replica_cli.api.plans import Plans
from replica_cli.api.questions import Questions
from replica_cli.core.metrics import Newest
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.api.board import Board
    from replica_cli.api.listener import Listener
    from replica_cli.api.serving import Parts

logger = logging.getLogger(__name__)

_HEAD_BYTES = 16 * 1024
_KEEP_ALIVE_SECONDS = 5
_JOBS_END_SECONDS = 5.0


def run_server(listener: Listener, parts: Parts) -> None:
    """Serve until `parts.stop` is set."""
    # Uvicorn warns of each request that is no HTTP, and a hostile client sends many.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    asyncio.run(_serve(listener, parts))


async def _serve(listener: Listener, parts: Parts) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_note_exception)
    stopped = asyncio.Event()
    context = _context(parts)
    config = uvicorn.Config(
        make_app(context),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        forwarded_allow_ips=[],  # without a value it reads a variable of the environment, and so does `workers`
        workers=1,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    config.load()
    sampling = asyncio.create_task(_sample(parts.board))
    log(logger, logging.INFO, Tag.INFO, "HTTP: listening on %s", listener.url)
    if parts.settings().http.token is not None and listener.tls is None and not listener.address.is_local:
        text = (
            "HTTP: a program that sees the network traffic of %s can read the token: REPLICA_HTTP_TLS_CERT encrypts it"
        )
        log(logger, logging.WARNING, Tag.WARN, text, listener.address)
    try:

        def wake() -> None:
            if parts.stop.is_set:
                loop.call_soon_threadsafe(stopped.set)

        def stop_jobs() -> None:
            # A copy takes a moment to end, so its stop begins with that of the stream.
            if parts.board.stopping.is_set:
                context.jobs.stop()

        with parts.stop.waking(wake), parts.board.stopping.waking(stop_jobs):
            await Connections(config, listener, parts.settings().http.connections).serve(stopped, sampling)
    finally:
        sampling.cancel()
        context.jobs.end(_JOBS_END_SECONDS)


def _context(parts: Parts) -> Context:
    return Context(
        settings=parts.settings,
        secondaries=parts.secondaries,
        board=parts.board,
        events=parts.events,
        questions=Questions(parts.settings, parts.secondaries),
        jobs=Jobs(),
        plans=Plans(),
        control=parts.control,
        metrics=_metrics(parts),
        stop=parts.stop,
    )


def _metrics(parts: Parts) -> Callable[[], tuple[bytes, str]]:
    """Return the function that answers a scrape: with the metrics and their content type."""
    control, board = parts.control, parts.board

    def read() -> Newest:
        newest = None if control is None else control.newest()
        return newest or Newest(board.newest())

    registry = registry_of(read, version=__version__, primary=parts.settings().primary.name)
    return lambda: (metrics_text(registry), CONTENT_TYPE_LATEST)


async def _sample(board: Board) -> None:
    while True:
        board.take_samples()
        await asyncio.sleep(SAMPLE_SECONDS)


def _note_exception(_loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
    # What a client caused, such as a connection that it reset: the answers have their own errors.
    logger.debug("HTTP: %s: %r", details.get("message"), details.get("exception"))
