"""Jobs: long work with an id, its progress, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from replica_cli.api.context import InContext
from replica_cli.api.documents import JobDocument, JobsDocument
from replica_cli.api.jobs import Job
from replica_cli.api.responses import DocumentResponse, errors
from replica_cli.api.security import check_token

if TYPE_CHECKING:
    from replica_cli.documents.shapes import DriftDocument

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
_CHANGE = [Depends(check_token)]


class DriftRequest(BaseModel):
    """Which secondaries are compared."""

    model_config = ConfigDict(extra="forbid")
    secondaries: Annotated[list[str], Field(max_length=100, description="Names of secondaries; all if empty.")] = []


@router.get("", summary="The jobs", response_model=JobsDocument, responses=errors())
async def jobs(context: InContext) -> Response:
    """Return the jobs that run, and the last ones that ended, the newest first, without their results."""
    return DocumentResponse({"jobs": [job.summary for job in context.jobs.all()]})


@router.get("/{job_id}", summary="One job", response_model=JobDocument, responses=errors(404, 422))
async def job(job_id: str, context: InContext) -> Response:
    """Return the progress of a job, and at its end the result."""
    return DocumentResponse(context.jobs.get(job_id).document)


@router.delete(
    "/{job_id}",
    summary="Cancel a job",
    status_code=202,
    response_model=JobDocument,
    responses=errors(401, 403, 404, 409, 422),
    dependencies=_CHANGE,
)
async def cancel(job_id: str, context: InContext) -> Response:
    """Request the end of a job. What it has copied stays, and a copy that a stream makes goes on there."""
    return DocumentResponse(context.jobs.cancel(job_id).document, 202)


@router.post(
    "/drift",
    summary="Compare the definitions of tables",
    status_code=202,
    response_model=JobDocument,
    responses=errors(401, 403, 404, 422, 503),
    dependencies=_CHANGE,
)
async def compare(wanted: DriftRequest, context: InContext) -> Response:
    """Do what `replica drift check` does, as a job."""
    secondaries = context.picked(wanted.secondaries) if wanted.secondaries else context.secondaries

    def work(_job: Job) -> DriftDocument:
        return context.questions.drift(secondaries)

    job = Job("drift", tuple(s.name for s in secondaries), can_be_cancelled=False)
    context.jobs.start(job, work)
    return DocumentResponse(job.document, 202)
