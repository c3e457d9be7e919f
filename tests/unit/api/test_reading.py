"""What can be read: without a token, in the JSON of `--json`."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.core.settings import Secret
from replica_cli.core.status import Phase
from replica_cli.logs import Tag, install_redactor, log
from tests.unit.api.site import AT, STREAMING, TOKEN, serving_site

if TYPE_CHECKING:
    import pytest

    from tests.unit.api.site import Site

logger = logging.getLogger("replica_cli.test")


def test_the_process_is_alive_whatever_the_secondaries_do(site: Site) -> None:
    assert (site.get("/healthz").status, site.get("/healthz").document) == (200, {"is_alive": True})


def test_a_probe_may_ask_for_the_head_of_an_answer_alone(site: Site) -> None:
    for path in ("/healthz", "/readyz"):
        head, whole = site.ask("HEAD", path), site.get(path)
        assert (head.status, head.text) == (whole.status, "")
        assert head.headers["content-length"] == whole.headers["content-length"]


def test_ready_means_that_every_secondary_streams_within_its_limit(site: Site) -> None:
    assert site.get("/readyz").status == 503
    site.board.on_status(STREAMING)
    answer = site.get("/readyz")
    assert answer.status == 503
    reason = {"instance": "db3", "reason": "phase", "message": "is starting"}
    assert answer.document == {"is_ready": False, "reasons": [reason]}
    site.board.on_status(replace(STREAMING, instance="db3"))
    assert (site.get("/readyz").status, site.get("/readyz").document) == (200, {"is_ready": True, "reasons": []})
    site.board.on_status(replace(STREAMING, phase=Phase.STREAMING, lag_seconds=75.0))
    (reason,) = site.get("/readyz").document["reasons"]
    assert (reason["instance"], reason["reason"]) == ("db2", "lag")
    assert "is above the limit of 1m00s" in reason["message"]


def test_a_secondary_is_shown_as_in_a_status_line(site: Site) -> None:
    site.board.on_status(replace(STREAMING, quarantined=("shop.orders", "shop.it's")))
    answer = site.get("/api/v1/secondaries").document
    assert (answer["primary"], answer["can_change"]) == ("mariadb-primary", True)
    shown = answer["secondaries"][0]
    line = documents.status_line(replace(STREAMING, quarantined=("shop.orders", "shop.it's")))
    assert {**line, "time": None} == {**{name: shown[name] for name in line}, "time": None}
    assert shown["quarantine"] == [
        {"table": "shop.orders", "command": "replica transfer --table shop.orders --secondary db2"},
        {"table": "shop.it's", "command": r"replica transfer --table $'shop.it\u0027s' --secondary db2"},
    ]
    assert site.get("/api/v1/secondaries/db2").document["quarantine"] == shown["quarantine"]


def test_a_secondary_that_does_not_exist_is_an_error_with_the_names(site: Site) -> None:
    for path in ("/api/v1/secondaries/db9", "/api/v1/secondaries/db9/tables"):
        answer = site.get(path)
        assert answer.status == 404
        assert answer.document == {
            "type": "error", "code": 2, "error": "not_found", "message": "there is no such secondary",
            "hint": "the secondaries are: db2, db3",
        }  # fmt: skip


def test_positions_are_those_of_position_show_and_asked_for_once(site: Site) -> None:
    site.questions.may_answer.clear()
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(site.get("/api/v1/positions").document)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    # The server answers others while a database server does not.
    assert site.get("/healthz").status == 200
    site.questions.may_answer.set()
    for thread in threads:
        thread.join(30)
    assert site.questions.asked == ["positions"]
    assert answers == [site.questions.positions()] * 8


def test_tables_have_the_command_that_brings_them_back(site: Site) -> None:
    document = site.get("/api/v1/secondaries/db2/tables").document
    quarantined, pending = document["tables"]
    assert quarantined["command"] == "replica transfer --table shop.orders --secondary db2"
    assert (quarantined["state"], quarantined["position"]["pos"]) == ("quarantined", AT.pos)
    assert pending["command"] is None


def test_the_history_grows_and_is_read_in_parts(site: Site) -> None:
    site.board.on_status(STREAMING)
    site.board.take_samples()
    whole = site.get("/api/v1/history").document
    samples = whole["secondaries"][0]["samples"]
    assert (samples[-1]["lag_seconds"], samples[-1]["phase"]) == (0.4, "caught_up")
    assert site.get(f"/api/v1/history?after={samples[-1]['time'] + 1}").document["secondaries"][0]["samples"] == []
    assert site.get("/api/v1/history?after=soon").status == 422


def test_events_are_warnings_and_changes_the_newest_first_without_secrets(site: Site) -> None:
    install_redactor([Secret("geheim-1")])
    try:
        log(logger, logging.INFO, Tag.INSERT, "12 rows", instance="db2")
        log(logger, logging.WARNING, Tag.WARN, "no geheim-1 here, see `replica health`", instance="db2", table="t")
        site.board.on_status(STREAMING)
        site.board.on_status(replace(STREAMING, phase=Phase.STREAMING))
        log(logger, logging.INFO, Tag.SUCCESS, "caught up", instance="db3")
    finally:
        install_redactor([])
    events = [e for e in site.get("/api/v1/events").document["events"] if e["instance"]]
    assert [(e["instance"], e["message"]) for e in events] == [
        ("db3", "caught up"), ("db2", "streaming"), ("db2", "no *** here, see `replica health --secondary db2`"),
    ]  # fmt: skip
    assert len(site.get("/api/v1/events?limit=1").document["events"]) == 1


def test_metrics_are_those_of_the_newest_statuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_site(monkeypatch, is_stream=False) as site:
        answer = site.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        assert 'replica_phase{instance="db2",phase="starting",primary="mariadb-primary"} 1.0' in answer.text
        assert 'replica_build_info{version="' in answer.text


def test_without_token_the_answer_says_that_nothing_can_be_changed(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with serving_site(monkeypatch, replace(site.settings.http, token=None)) as other:
        assert other.get("/api/v1/secondaries").document["can_change"] is False
        answer = other.ask("POST", "/api/v1/secondaries/db2/pause", token=TOKEN)
        assert (answer.status, answer.document["error"]) == (403, "forbidden")
        assert "REPLICA_HTTP_TOKEN_FILE" in answer.document["hint"]


def test_every_answer_has_the_headers_that_browsers_need(site: Site) -> None:
    for path in ("/healthz", "/", "/api/v1/events", "/nowhere", "/api/v1/history?after=soon"):
        headers = site.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
