"""What can be read without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Query
from starlette.responses import Response

from replica_cli import __version__
from replica_cli.api.board import SAMPLE_SECONDS
from replica_cli.api.context import InContext
from replica_cli.api.documents import (
    DifferencesDocument,
    EventsDocument,
    HistoryDocument,
    SecondariesDocument,
    SecondaryDocument,
    TablesDocument,
)
from replica_cli.api.responses import DocumentResponse, errors
from replica_cli.core.commands import fill, shell_word
from replica_cli.core.settings import Settings
from replica_cli.core.status import TableState
from replica_cli.documents import status_line
from replica_cli.documents.shapes import PositionsDocument

if TYPE_CHECKING:
    from replica_cli.api.board import Snapshot

router = APIRouter(prefix="/api/v1", tags=["reading"])


@router.get(
    "/secondaries", summary="The status of each secondary", response_model=SecondariesDocument, responses=errors()
)
async def secondaries(context: InContext) -> Response:
    """Return the newest status of each secondary, as the status lines of `stream --json`."""
    settings = context.settings()
    return DocumentResponse({
        "primary": settings.primary.name,
        "version": __version__,
        "can_change": settings.http.token is not None,
        "secondaries": [_secondary(each, settings) for each in context.board.snapshots()],
    })  # fmt: skip


@router.get(
    "/secondaries/{name}",
    summary="The status of one secondary",
    response_model=SecondaryDocument,
    responses=errors(404, 422),
)
async def secondary(name: str, context: InContext) -> Response:
    """Return the newest status of one secondary."""
    wanted = context.secondary(name).name
    (snapshot,) = (each for each in context.board.snapshots() if each.status.instance == wanted)
    return DocumentResponse(_secondary(snapshot, context.settings()))


@router.get(
    "/secondaries/{name}/tables",
    summary="The tables of one secondary that are not simply live",
    response_model=TablesDocument,
    responses=errors(404, 422, 502, 503),
)
async def tables(name: str, context: InContext) -> Response:
    """Return the tables with a record in the state schema: quarantined, being copied, or waiting for it."""
    instance = context.secondary(name).name
    answer = await context.positions.get()
    (report,) = (each for each in answer["secondaries"] if each["instance"] == instance)
    return DocumentResponse({
        "instance": instance,
        "failure": report["failure"],
        "tables": [
            {
                **table,
                "command": copy_command(table["table"], instance)
                if table["state"] == TableState.QUARANTINED.value
                else None,
            }
            for table in report["tables"]
        ],
    })  # fmt: skip


@router.get(
    "/positions",
    summary="The saved positions, the primary's end, and the distance",
    response_model=PositionsDocument,
    responses=errors(502, 503),
)
async def positions(context: InContext) -> Response:
    """Ask the servers, as `position show --json` does. The answer may be two seconds old."""
    return DocumentResponse(await context.positions.get())


@router.get("/history", summary="The last hour", response_model=HistoryDocument, responses=errors(422))
async def history(
    context: InContext,
    after: Annotated[
        float, Query(ge=0, le=1e11, allow_inf_nan=False, description="Only samples later than this Unix time.")
    ] = 0.0,
) -> Response:
    """Return phase, lag and rate of each secondary in steps of five seconds."""
    return DocumentResponse({
        "interval_seconds": SAMPLE_SECONDS,
        "secondaries": [
            {
                "instance": server.name,
                "samples": [
                    {
                        "time": round(sample.time, 3),
                        "phase": sample.phase.value,
                        "lag_seconds": None if sample.lag_seconds is None else round(sample.lag_seconds, 3),
                        "rows_per_second": sample.rows_per_second,
                    }
                    for sample in context.board.history(server.name, after)
                ],
            }
            for server in context.secondaries
        ],
    })  # fmt: skip


@router.get("/events", summary="The last events of the log", response_model=EventsDocument, responses=errors(422))
async def events(
    context: InContext, limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 200
) -> Response:
    """Return the last warnings, errors and changes of state, the newest first."""
    return DocumentResponse({"events": context.events.newest(limit)})


@router.get(
    "/differences",
    summary="The last comparison of definitions",
    response_model=DifferencesDocument,
    responses=errors(),
)
async def differences(context: InContext) -> Response:
    """Return the answer of the last `POST /api/v1/jobs/drift`, which is that of `drift check --json`."""
    last = context.jobs.last_result("drift")
    return DocumentResponse({"checked_at": last and last[0], "drift": last and last[1]})


def copy_command(table: str, instance: str) -> str:
    """Return the command that copies a table again, as a user types it."""
    return fill(f"`replica transfer --table {shell_word(table)}`", instance).strip("`")


def _secondary(snapshot: Snapshot, settings: Settings) -> SecondaryDocument:
    status = snapshot.status
    document: dict[str, Any] = {
        **status_line(status),
        "lag_seconds": snapshot.lag_seconds,
        "snapshot_age_seconds": round(snapshot.age_seconds, 1),
        "lag_limit_seconds": settings.of(status.instance).max_lag_seconds,
        "quarantine": [{"table": t, "command": copy_command(t, status.instance)} for t in status.quarantined],
    }
    return cast("SecondaryDocument", document)
