"""Plans: what would be done is shown first, and done by a second call with the plan's id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from replica_cli.api.context import Context, InContext
from replica_cli.api.documents import JobDocument, PlanDocument
from replica_cli.api.errors import FailedReport
from replica_cli.api.jobs import Job, JobFailed
from replica_cli.api.questions import TransferTask
from replica_cli.api.responses import DocumentResponse, errors
from replica_cli.api.security import check_token
from replica_cli.core.errors import UsageError
from replica_cli.core.names import TableName
from replica_cli.core.position import Position, parse_file_position
from replica_cli.core.requests.reset import ResetKind
from replica_cli.documents import resets_document, transfer_summary
from replica_cli.documents.complete_commands import failures_of
from replica_cli.documents.shapes import ResetsDocument
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.api.questions import ResetTask
    from replica_cli.core.reports.reset import ResetPlan
    from replica_cli.core.reports.transfer import TransferPlan
    from replica_cli.documents.shapes import TransferSummary

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1/plans", tags=["plans"], dependencies=[Depends(check_token)])
Names = Annotated[list[str], Field(min_length=1, max_length=100, description="Names of secondaries.")]
TableText = Annotated[str, Field(max_length=200, pattern=r"^[^.]+\..+$")]


class TransferPlanRequest(BaseModel):
    """Which tables are copied again, to which secondaries."""

    model_config = ConfigDict(extra="forbid")
    secondaries: Names
    tables: Annotated[
        list[TableText],
        Field(min_length=1, max_length=1000, description="`schema.table`, with the names on the primary."),
    ]


class ResetPlanRequest(BaseModel):
    """Where the saved position is moved: the options of `replica position reset`."""

    model_config = ConfigDict(extra="forbid")
    secondaries: Names
    kind: Annotated[
        Literal["forget", "position", "gtid", "current", "keep"],
        Field(description="`position` needs `to`, `gtid` needs `gtid`; `keep` changes the stored filters alone."),
    ]
    to: Annotated[str | None, Field(max_length=500, description="`FILE:POS`, such as `binlog.000042:1187`.")] = None
    gtid: Annotated[str | None, Field(max_length=10_000, description="A GTID set.")] = None
    accept_filters: Annotated[bool, Field(description="Store the schemas and tables of the settings.")] = False


@router.post(
    "/transfer",
    summary="Plan to copy tables again",
    status_code=201,
    response_model=PlanDocument,
    responses=errors(401, 403, 404, 409, 422, 502, 503),
)
async def plan_transfer(wanted: TransferPlanRequest, context: InContext, request: Request) -> Response:
    """Show what `replica transfer --table` would do. Nothing is written before the plan is confirmed."""
    secondaries = context.picked(wanted.secondaries)
    tables = tuple(TableName(*text.split(".", 1)) for text in dict.fromkeys(wanted.tables))
    task = await context.threads.run(lambda: context.questions.plan_transfer(secondaries, tables), request)
    return _stored(context, task, [planned.shown for planned in task.plans])


@router.post(
    "/position-reset",
    summary="Plan to move or forget a saved position",
    status_code=201,
    response_model=PlanDocument,
    responses=errors(401, 403, 404, 409, 422, 502, 503),
)
async def plan_reset(wanted: ResetPlanRequest, context: InContext, request: Request) -> Response:
    """Show what `replica position reset` would do. Nothing is written before the plan is confirmed."""
    secondaries = context.picked(wanted.secondaries)
    kind, position = ResetKind(wanted.kind), _position(wanted)
    accepts = wanted.accept_filters or kind is ResetKind.KEEP
    task = await context.threads.run(
        lambda: context.questions.plan_reset(secondaries, kind, position, accepts_filters=accepts), request
    )
    return _stored(context, task, task.plans)


@router.post(
    "/{plan_id}/confirm",
    summary="Do what a plan says",
    response_model=ResetsDocument,
    responses={
        **errors(401, 403, 404, 409, 410, 422, 502, 503),
        200: {"description": "The reset is done."},
        202: {"model": JobDocument, "description": "The copy has begun as a job."},
    },
)
async def confirm(plan_id: str, context: InContext, request: Request) -> Response:
    """Do exactly what the plan showed. A reset is done at once; a copy becomes a job."""
    task = context.plans.find(plan_id).task
    if isinstance(task, TransferTask):
        job = Job("transfer", tuple(p.shown.instance for p in task.plans), can_be_cancelled=True)
        context.jobs.start(job, lambda job: _copy(task, job))
        # A plan is used only when its job has begun. No other request runs between `find` and here.
        context.plans.forget(plan_id)
        log(logger, logging.INFO, Tag.INFO, "a copy is confirmed through HTTP: job %s", job.id)
        return DocumentResponse(job.document, 202)

    def reset() -> None:
        context.plans.take(plan_id)  # another request may have used it during the wait for a thread
        for plan in task.plans:
            text = "a reset of the position is confirmed through HTTP: %s"
            log(logger, logging.WARNING, Tag.WARN, text, plan.kind.value, instance=plan.instance)
        task.run()

    await context.threads.run(reset, request)
    return DocumentResponse(resets_document(task.plans, is_dry_run=False))


def _stored(
    context: Context, task: TransferTask | ResetTask, plans: Sequence[TransferPlan] | Sequence[ResetPlan]
) -> Response:
    # As on the command line: if there is no plan for one secondary, nothing begins.
    for failure in failures_of(plans):
        raise FailedReport(failure)
    return DocumentResponse(context.plans.add(task).document, 201)


def _copy(task: TransferTask, job: Job) -> TransferSummary:
    report = task.run(job, job.stop)
    summary = transfer_summary(report)
    for failure in failures_of(report.copies):
        raise JobFailed(failure, summary)
    return summary


def _position(wanted: ResetPlanRequest) -> Position | None:
    needs = {"position": "to", "gtid": "gtid"}.get(wanted.kind)
    for name, value in (("to", wanted.to), ("gtid", wanted.gtid)):
        if (value is not None) != (name == needs):
            raise UsageError(f"kind {wanted.kind}: {name} {'is missing' if name == needs else 'has no meaning'}")
    if wanted.to is not None:
        try:
            return parse_file_position(wanted.to)
        except ValueError as error:
            raise UsageError(f"to: {error}") from None
    if wanted.gtid is not None and not wanted.gtid.strip():
        raise UsageError("gtid is empty")
    return None if wanted.gtid is None else Position("", 0, wanted.gtid.strip())
