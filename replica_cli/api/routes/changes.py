"""What changes something at once: pause, resume, reload and the log level. All of it needs the token."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from replica_cli.api.context import Context, InContext
from replica_cli.api.documents import ChangeDocument, LevelDocument, ReloadDocument
from replica_cli.api.errors import FailedReport
from replica_cli.api.responses import DocumentResponse, errors
from replica_cli.api.security import check_token
from replica_cli.core.reports.pause import PauseReport
from replica_cli.core.reports.reload import Change
from replica_cli.documents import pauses_document
from replica_cli.documents.shapes import PausesDocument
from replica_cli.logs import Tag, log
from replica_cli.supervisor.control import NotStreaming, StreamControl

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1", tags=["changes"], dependencies=[Depends(check_token)])


class LevelRequest(BaseModel):
    """The lowest level that is logged from now on."""

    model_config = ConfigDict(extra="forbid")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@router.post(
    "/secondaries/{name}/pause",
    summary="Pause the stream of one secondary",
    response_model=PausesDocument,
    responses=errors(401, 403, 404, 409, 422, 502, 503),
)
async def pause(name: str, context: InContext, request: Request) -> Response:
    """Do what `replica pause` does: wait, half a minute at most, until the stream has paused."""
    return await _pause(name, context, request, is_wanted=True)


@router.post(
    "/secondaries/{name}/resume",
    summary="Let a paused stream go on",
    response_model=PausesDocument,
    responses=errors(401, 403, 404, 409, 422, 502, 503),
)
async def resume(name: str, context: InContext, request: Request) -> Response:
    """Do what `replica resume` does."""
    return await _pause(name, context, request, is_wanted=False)


@router.post(
    "/reload",
    summary="Read the settings again",
    response_model=ReloadDocument,
    responses=errors(401, 403, 409),
)
async def reload(context: InContext, request: Request) -> Response:
    """Do what SIGHUP does, and return which settings are in use with another value, and which need a new start."""
    control = _control(context)
    result = await context.steering.run(lambda: control.reload("POST /api/v1/reload"), request)
    return DocumentResponse({"taken": _changes(result.taken), "refused": _changes(result.refused)})


@router.put(
    "/log-level",
    summary="Change the log level",
    response_model=LevelDocument,
    responses=errors(401, 403, 409, 422),
)
async def log_level(wanted: LevelRequest, context: InContext, request: Request) -> Response:
    """Log from another level on, until the next reload or start."""
    control = _control(context)
    result = await context.steering.run(lambda: control.set_level(wanted.level, "PUT /api/v1/log-level"), request)
    return DocumentResponse({"level": result.settings.logging.level})


async def _pause(name: str, context: Context, request: Request, *, is_wanted: bool) -> Response:
    server = context.secondary(name)
    text = "a pause is requested through HTTP" if is_wanted else "the end of the pause is requested through HTTP"

    def ask() -> PauseReport:
        log(logger, logging.INFO, Tag.INFO, "%s", text, instance=server.name)
        return context.questions.pause(server, context.stop, is_wanted=is_wanted)

    report = await context.pausing.run(ask, request)
    if report.failure is not None:
        raise FailedReport(report.failure)
    return DocumentResponse(pauses_document([report]))


def _changes(changes: Sequence[Change]) -> list[ChangeDocument]:
    return [
        {"name": c.name, "before": c.before or None, "after": c.after or None, "note": c.note or None} for c in changes
    ]


def _control(context: Context) -> StreamControl:
    if context.control is None:
        raise NotStreaming("this process is a transfer", hint="only `replica stream` can do this")
    return context.control
