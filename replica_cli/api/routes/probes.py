"""Probes of service managers, metrics, and the status page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from replica_cli.api.context import InContext
from replica_cli.api.documents import AliveDocument, ReadinessDocument
from replica_cli.api.page import page
from replica_cli.api.readiness import why_not_ready
from replica_cli.api.responses import DocumentResponse, errors

router = APIRouter(tags=["probes"])


def _text(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {media_type: {"schema": {"type": "string"}}}}}


# Some probes ask for the head of an answer alone.
@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is the process alive", response_model=AliveDocument, responses=errors())
async def healthz() -> Response:
    """Answer as long as the process is alive, whatever the secondaries do."""
    return DocumentResponse({"is_alive": True})


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Does every secondary stream within its lag limit",
    response_model=ReadinessDocument,
    responses={**errors(), 503: {"model": ReadinessDocument, "description": "At least one does not."}},
)
async def readyz(context: InContext) -> Response:
    """Answer 200 if every secondary streams and its lag is within `REPLICA_MAX_LAG`, else 503 with the reasons."""
    reasons = why_not_ready(context.board.snapshots(), context.settings())
    status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return DocumentResponse({"is_ready": not reasons, "reasons": reasons}, status)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={**errors(), **_text("text/plain", "The metrics.")},
)
async def metrics(context: InContext) -> Response:
    """Return the metrics in Prometheus' text format."""
    text, content_type = context.metrics()
    return Response(text, headers={"content-type": content_type})


@router.get(
    "/",
    summary="The status page",
    response_class=Response,
    responses={**errors(), **_text("text/html", "The page.")},
)
async def status_page() -> Response:
    """Return the status page. It is one file that loads nothing from other servers."""
    html, policy = page()
    return Response(html, headers={"content-type": "text/html; charset=utf-8", "content-security-policy": policy})
