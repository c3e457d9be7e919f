"""A server that does not answer takes a thread for a bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.api import questions
from replica_cli.api.questions import Questions
from replica_cli.core.requests.reset import ResetKind
from replica_cli.core.settings import Http
from tests.unit.api.site import ORDERS, settings_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.settings import Settings


@pytest.mark.parametrize(
    ("service", "ask", "most"),
    [
        ("plan_transfer", lambda q, s: q.plan_transfer(s, (ORDERS,)), 15.0),
        ("plan_reset", lambda q, s: q.plan_reset(s, ResetKind.FORGET, None, accepts_filters=False), 15.0),
        ("run_reset", lambda q, s: q.plan_reset(s, ResetKind.FORGET, None, accepts_filters=False).run(), 15.0),
        ("check_each_drift", lambda q, s: q.drift(s), 120.0),
    ],
    ids=["plan_transfer", "plan_reset", "run_reset", "drift"],
)
def test_each_question_has_a_time_limit(
    service: str, ask: Callable[[Questions, Any], Any], most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Settings] = []
    for name in ("plan_transfer", "plan_reset", "run_reset", "check_each_drift"):

        def note(settings: Settings, *_: object, name: str = name) -> tuple[()]:
            if name == service:
                used.append(settings)
            return ()

        monkeypatch.setattr(questions, name, note)
    settings = settings_with(Http())
    ask(Questions(lambda: settings, settings.secondaries), settings.secondaries)
    (bounded,) = used
    assert bounded.network.query_timeout == most
    assert bounded.network.connect_timeout <= 15.0
