"""What changes something: with the token, and by the same code as commands and signals."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.api import server, threads
from replica_cli.api.plans import PLAN_SECONDS, Plans
from replica_cli.core.errors import ConfigurationError, LockHeld, PrimaryError, SecondaryError
from replica_cli.core.reports.reload import Change, ReloadReport
from tests.support.command import wait_until
from tests.unit.api.site import TOKEN, serving_site, wait_for_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.api.plans import StoredPlan
    from tests.unit.api.site import Site

COPY = {"secondaries": ["db2"], "tables": ["shop.orders"]}
FORGET = {"secondaries": ["db2"], "kind": "forget"}
CHANGES: list[tuple[str, str, object]] = [
    ("POST", "/api/v1/secondaries/db2/pause", None),
    ("POST", "/api/v1/secondaries/db2/resume", None),
    ("POST", "/api/v1/reload", None),
    ("PUT", "/api/v1/log-level", {"level": "INFO"}),
    ("POST", "/api/v1/plans/transfer", COPY),
    ("POST", "/api/v1/plans/position-reset", FORGET),
    ("POST", "/api/v1/plans/1/confirm", None),
    ("POST", "/api/v1/jobs/drift", {}),
    ("DELETE", "/api/v1/jobs/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=[path for _, path, _ in CHANGES])
def test_a_change_needs_the_token_whole_and_in_its_header(method: str, path: str, body: object, site: Site) -> None:
    wrong = [
        {}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer "}, {"Cookie": f"token={TOKEN}"},
        {"Authorization": "Bearer é"},
    ]  # fmt: skip
    for headers in wrong:
        answer = site.ask(method, path, body, headers={k: v.encode().decode("latin-1") for k, v in headers.items()})
        assert (answer.status, answer.document["error"]) in {(401, "unauthorized"), (429, "too_many")}, headers
        assert TOKEN not in answer.text
    assert site.ask(method, f"{path}?token={TOKEN}", body).status in {401, 429}
    assert site.questions.asked == []


def test_pause_and_resume_are_those_of_the_command(site: Site) -> None:
    answer = site.change("/api/v1/secondaries/db2/pause")
    assert (answer.status, answer.document["secondaries"][0]["phase"]) == (200, "paused")
    assert site.change("/api/v1/secondaries/db2/resume").document["secondaries"][0]["is_pause_wanted"] is False
    assert site.questions.asked == ["pause db2", "resume db2"]
    failed = site.change("/api/v1/secondaries/db3/pause")
    assert (failed.status, failed.document["error"]) == (409, "never_ran")
    assert site.change("/api/v1/secondaries/db9/pause").status == 404


def test_a_reload_answers_what_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[ReloadReport] = []
    lag, server_id = Change("REPLICA_MAX_LAG", "60s", "5s"), Change("MARIA_SERVER_ID", "100", "7", "a note")
    with serving_site(monkeypatch, reload=lambda: changed[0]) as site:
        changed.append(ReloadReport(replace(site.settings, max_lag_seconds=5.0), (lag,), (server_id,)))
        answer = site.change("/api/v1/reload")
        assert answer.document == {
            "taken": [{"name": "REPLICA_MAX_LAG", "before": "60s", "after": "5s", "note": None}],
            "refused": [{"name": "MARIA_SERVER_ID", "before": "100", "after": "7", "note": "a note"}],
        }
        assert site.get("/api/v1/secondaries/db2").document["lag_limit_seconds"] == 5.0


def test_a_reload_of_wrong_settings_answers_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> ReloadReport:
        raise ConfigurationError(("REPLICA_MAX_LAG: wrong", "REPLICA_DDL: wrong"))

    with serving_site(monkeypatch, reload=fail) as site:
        answer = site.change("/api/v1/reload")
    assert (answer.status, answer.document["error"], answer.document["code"]) == (409, "configuration", 10)
    assert answer.document["problems"] == ["REPLICA_MAX_LAG: wrong", "REPLICA_DDL: wrong"]


def test_the_log_level_changes_in_this_process_too(site: Site) -> None:
    assert site.change("/api/v1/log-level", {"level": "ERROR"}, "PUT").document == {"level": "ERROR"}
    assert logging.getLogger("replica_cli").level == logging.ERROR
    assert site.change("/api/v1/log-level", {"level": "LOUD"}, "PUT").status == 422


def test_a_transfer_cannot_be_reloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_site(monkeypatch, is_stream=False) as site:
        answer = site.change("/api/v1/reload")
        assert (answer.status, answer.document["error"]) == (409, "not_streaming")


@pytest.mark.parametrize(
    ("error", "status"), [(PrimaryError("gone"), 502), (SecondaryError("gone"), 502), (LockHeld("held"), 409)]
)
def test_an_error_of_a_server_has_a_status_that_fits(error: Exception, status: int, site: Site) -> None:
    site.questions.error = error
    for path, body in (("/api/v1/plans/transfer", COPY), ("/api/v1/secondaries/db2/pause", None)):
        answer = site.change(path, body)
        assert (answer.status, answer.document["message"]) == (status, str(error))


def test_an_unexpected_error_shows_nothing_of_the_inside(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.questions.error = RuntimeError("a secret of the inside")
    answer = site.change("/api/v1/secondaries/db2/pause")
    assert (answer.status, answer.document["error"]) == (500, "failure")
    assert "inside" not in answer.text
    wait_until(lambda: "unexpected RuntimeError" in caplog.text, "the line of the log")
    assert site.get("/healthz").status == 200


def test_a_wrong_request_is_described_and_not_repeated(site: Site) -> None:
    answer = site.change("/api/v1/plans/transfer", {"secondaries": ["db2"], "tables": ["x"], "password": "geheim"})
    assert (answer.status, answer.document["error"]) == (422, "usage")
    assert {p.partition(":")[0] for p in answer.document["problems"]} == {"body.tables.0", "body.password"}
    assert "geheim" not in answer.text
    assert site.change("/api/v1/plans/transfer", b"{").status == 422


def test_a_copy_is_planned_confirmed_once_and_becomes_a_job(site: Site) -> None:
    plan = site.change("/api/v1/plans/transfer", COPY)
    assert plan.status == 201
    (shown,) = plan.document["plan"]["plans"]
    assert (shown["is_destructive"], shown["tables"][0]["action"]) == (True, "replace")
    confirm = f"/api/v1/plans/{plan.document['id']}/confirm"
    job = site.change(confirm)
    assert (job.status, job.document["state"], job.document["kind"]) == (202, "running", "transfer")
    again = site.change(confirm)
    assert (again.status, again.document["error"]) == (410, "plan_gone")
    path = f"/api/v1/jobs/{job.document['id']}"
    (progress,) = site.get(path).document["progress"]
    assert (progress["instance"], progress["transfer"]["tables"][0]["rows_copied"]) == ("db2", 5)
    site.questions.may_end.set()
    done = wait_for_job(site, job.document["id"])
    assert (done["state"], done["result"]["secondaries"][0]["rows"], done["error"]) == ("done", 10, None)
    assert site.get("/api/v1/jobs").document["jobs"] == [{k: v for k, v in done.items() if k != "result"}]
    assert site.change(path, method="DELETE").status == 409


def test_a_job_can_be_cancelled(site: Site) -> None:
    plan = site.change("/api/v1/plans/transfer", COPY).document
    job = site.change(f"/api/v1/plans/{plan['id']}/confirm").document
    assert site.change(f"/api/v1/jobs/{job['id']}", method="DELETE").status == 202
    ended = wait_for_job(site, job["id"])
    assert (ended["state"], ended["error"]["error"]) == ("cancelled", "interrupted")


def test_not_too_many_jobs_run_at_the_same_time(site: Site) -> None:
    answers = []
    for _ in range(5):
        plan = site.change("/api/v1/plans/transfer", COPY).document
        answers.append(site.change(f"/api/v1/plans/{plan['id']}/confirm").status)
    assert answers == [202, 202, 202, 202, 429]
    # The plan that was refused is not used: it can be confirmed when there is room.
    site.questions.may_end.set()
    for job in site.get("/api/v1/jobs").document["jobs"]:
        wait_for_job(site, job["id"])
    assert site.change(f"/api/v1/plans/{plan['id']}/confirm").status == 202


def test_a_job_that_the_system_allows_no_thread_for_does_not_exist(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = site.change("/api/v1/plans/transfer", COPY).document
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name.startswith("job "):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        answer = site.change(f"/api/v1/plans/{plan['id']}/confirm")
    assert (answer.status, answer.document["error"]) == (429, "too_many")
    assert site.get("/api/v1/jobs").document["jobs"] == []
    assert site.change(f"/api/v1/plans/{plan['id']}/confirm").status == 202


def test_jobs_are_stopped_when_the_stop_of_the_stream_begins(site: Site) -> None:
    plans = [site.change("/api/v1/plans/transfer", COPY).document["id"] for _ in range(2)]
    job = site.change(f"/api/v1/plans/{plans[0]}/confirm").document
    site.board.on_stopping("stopping")
    assert wait_for_job(site, job["id"])["state"] == "cancelled"
    late = site.change(f"/api/v1/plans/{plans[1]}/confirm")
    assert (late.status, late.document["error"]) == (503, "interrupted")


def test_questions_that_wait_for_a_dead_server_do_not_keep_steering_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_SLOT_SECONDS", 0.2)
    with questions_to_a_dead_server(site, monkeypatch) as asked:
        answer = site.change("/api/v1/plans/transfer", COPY)
        assert (answer.status, answer.document["error"]) == (429, "too_many")
        assert site.change("/api/v1/reload").status == 200
        assert site.change("/api/v1/log-level", {"level": "INFO"}, "PUT").status == 200
        assert site.change("/api/v1/secondaries/db2/pause").status == 200
    assert len(asked) == 4


def test_a_reset_that_waited_too_long_for_a_thread_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(server, "Plans", lambda: Plans(lambda: now[0]))
    with serving_site(monkeypatch) as site:
        reset = site.change("/api/v1/plans/position-reset", FORGET).document["id"]
        with waiting_for_a_thread(site, monkeypatch, f"/api/v1/plans/{reset}/confirm") as client:
            now[0] += PLAN_SECONDS
            answer = client.dup()
        with answer:
            answer.settimeout(20)
            assert answer.recv(1000).startswith(b"HTTP/1.1 410 ")
        assert site.questions.resets == []


def test_a_reset_whose_client_has_gone_is_not_done(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reset = site.change("/api/v1/plans/position-reset", FORGET).document["id"]
    with waiting_for_a_thread(site, monkeypatch, f"/api/v1/plans/{reset}/confirm") as client:
        client.close()
        assert site.get("/healthz").status == 200  # the event loop has seen the end of the connection
    assert site.questions.resets == []
    assert site.change(f"/api/v1/plans/{reset}/confirm").status == 200


@contextlib.contextmanager
def questions_to_a_dead_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """Let four questions take all threads while the context lasts; each that is asked adds an item to the list."""
    is_alive = threading.Event()
    asked: list[None] = []
    statuses: list[int] = []

    def wait(*_: object, **__: object) -> Any:
        asked.append(None)
        assert is_alive.wait(30)
        raise PrimaryError("gone")

    def ask() -> None:
        statuses.append(site.change("/api/v1/plans/transfer", COPY).status)

    monkeypatch.setattr(site.questions, "plan_transfer", wait)
    clients = [threading.Thread(target=ask) for _ in range(4)]
    try:
        for client in clients:
            client.start()
        wait_until(lambda: len(asked) == 4, "all threads to be taken")
        yield asked
    finally:
        is_alive.set()
        for client in clients:
            client.join(30)
    assert statuses == [502] * 4


@contextlib.contextmanager
def waiting_for_a_thread(site: Site, monkeypatch: pytest.MonkeyPatch, path: str) -> Iterator[socket.socket]:
    """Give a client whose request waits for a thread while the context lasts, because questions take all of them."""
    found: list[None] = []
    find = Plans.find

    def note(plans: Plans, plan_id: str) -> StoredPlan:
        found.append(None)
        return find(plans, plan_id)

    monkeypatch.setattr(Plans, "find", note)
    with (
        socket.create_connection(("127.0.0.1", site.port)) as client,
        questions_to_a_dead_server(site, monkeypatch),
    ):
        client.settimeout(20)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        client.sendall(head.encode())
        wait_until(lambda: found, "the request to wait for a thread")
        yield client


def test_a_reset_is_planned_and_then_done_as_it_was_shown(site: Site) -> None:
    wanted = {"secondaries": ["db2"], "kind": "position", "to": "binlog.000042:1187"}
    plan = site.change("/api/v1/plans/position-reset", wanted)
    assert plan.document["plan"]["is_dry_run"] is True
    assert site.questions.resets == []
    done = site.change(f"/api/v1/plans/{plan.document['id']}/confirm")
    assert (done.status, done.document["is_dry_run"]) == (200, False)
    assert done.document["plans"] == plan.document["plan"]["plans"]
    assert len(site.questions.resets) == 1
    assert site.questions.asked == ["reset position binlog.000042:1187 False"]


@pytest.mark.parametrize(
    "more",
    [
        {"kind": "position"}, {"kind": "forget", "to": "a:4"}, {"kind": "position", "to": "nothing"},
        {"kind": "gtid"}, {"kind": "gtid", "gtid": " "}, {"kind": "all"},
    ],
)  # fmt: skip
def test_a_reset_that_contradicts_itself_is_refused(more: dict[str, str], site: Site) -> None:
    answer = site.change("/api/v1/plans/position-reset", {"secondaries": ["db2"], **more})
    assert (answer.status, answer.document["error"]) == (422, "usage")


def test_keeping_the_position_accepts_the_filters(site: Site) -> None:
    site.change("/api/v1/plans/position-reset", {"secondaries": ["db2"], "kind": "keep"})
    assert site.questions.asked == ["reset keep - True"]


def test_a_plan_that_never_was_is_not_known(site: Site) -> None:
    assert site.change("/api/v1/plans/0123/confirm").status == 404
    assert site.change("/api/v1/plans/transfer", {"secondaries": ["db9"], "tables": ["a.b"]}).status == 404


def test_a_comparison_is_a_job_and_its_answer_is_kept(site: Site) -> None:
    assert site.get("/api/v1/differences").document == {"checked_at": None, "drift": None}
    job = site.change("/api/v1/jobs/drift", {"secondaries": ["db3"]})
    done = wait_for_job(site, job.document["id"])
    assert (job.status, done["state"], done["result"]["is_same"]) == (202, "done", True)
    assert site.get("/api/v1/differences").document == {"checked_at": done["ended_at"], "drift": done["result"]}
    assert site.questions.asked == ["drift db3"]


def test_only_the_newest_comparison_is_kept_in_memory(site: Site) -> None:
    first, second = (
        wait_for_job(site, site.change("/api/v1/jobs/drift", {"secondaries": [name]}).document["id"])
        for name in ("db2", "db3")
    )
    assert site.get(f"/api/v1/jobs/{first['id']}").document == {**first, "result": None}
    assert site.get("/api/v1/differences").document["drift"] == second["result"]
    site.questions.error = PrimaryError("gone")
    failed = wait_for_job(site, site.change("/api/v1/jobs/drift", {}).document["id"])
    assert failed["state"] == "failed"
    assert site.get("/api/v1/differences").document["drift"] == second["result"]
