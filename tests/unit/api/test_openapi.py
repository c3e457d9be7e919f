"""The OpenAPI document is complete, and the server does what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.unit.api.site import STREAMING, TOKEN, serving_site

if TYPE_CHECKING:
    import pytest

    from tests.unit.api.site import Site

_DOCUMENT = "/api/v1/openapi.json"


def test_each_operation_is_described_with_its_errors_and_its_security(site: Site) -> None:
    document = site.get(_DOCUMENT).document
    operations = [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]
    assert len(operations) > 20
    for path, method, operation in operations:
        name = f"{method} {path}"
        assert operation["summary"], name
        assert operation["description"], name
        assert {"400", "413", "429", "500"} <= operation["responses"].keys(), name
        for status, response in operation["responses"].items():
            assert response["description"], f"{name} {status}"
            schema = next(iter(response["content"].values()))["schema"]
            assert schema, f"{name} {status} has no schema"
            if int(status) >= 400 and path != "/readyz":
                assert schema == {"$ref": "#/components/schemas/ErrorDocument"}, f"{name} {status}"
        assert ("security" in operation) == (method != "get"), name
        if method != "get":
            assert {"401", "403"} <= operation["responses"].keys(), name
        if "{" in path:
            assert "404" in operation["responses"], name
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_the_server_does_what_its_document_says(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    # Without limits of the rate, or most answers would be 429.
    http = replace(site.settings.http, requests_per_second=1e9, token=site.settings.http.token)
    with serving_site(monkeypatch, http) as other:
        other.questions.may_end.set()
        for name in ("db2", "db3"):  # both are ready: a 503 counts as an error of the server
            other.board.on_status(replace(STREAMING, instance=name))
        url = f"http://127.0.0.1:{other.port}"
        schema = schemathesis.openapi.from_url(url + _DOCUMENT)
        for result in schema.get_all_operations():
            assert isinstance(result, Ok)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _ask_often(result.ok(), mode)
        assert other.get("/healthz").status == 200


def _ask_often(operation: Any, mode: GenerationMode) -> None:
    """Ask what the document describes, or what it does not allow, and check each answer against the document."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
        assert TOKEN not in answer.text

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong in a request without parameters
