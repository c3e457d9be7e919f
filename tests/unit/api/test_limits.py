"""Limits of requests and of connections, against clients that are slow, many, or hostile."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.api import connections
from replica_cli.api.errors import TooMany
from replica_cli.api.limits import ClientLimits, TokenBucket
from tests.support.command import wait_until
from tests.unit.api.site import TOKEN, serving_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.api.site import Site

HEAD = b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n"


def test_a_bucket_allows_a_burst_and_then_a_rate() -> None:
    now = [0.0]
    bucket = TokenBucket(2.0, 3, lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] += 0.5
    assert [bucket.take() for _ in range(2)] == [0, 0.5]
    now[0] += 100
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]


def test_one_client_does_not_use_up_the_requests_of_another() -> None:
    limits = ClientLimits(1.0, lambda: 0.0)
    for _ in range(2):
        limits.check("10.0.0.1")
    with pytest.raises(TooMany):
        limits.check("10.0.0.1")
    limits.check("10.0.0.2")
    for number in range(2000):
        limits.check(f"client {number}")
    assert len(limits._buckets) == 1000


def test_a_flood_is_answered_with_429_and_probes_are_not_limited(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with serving_site(monkeypatch, replace(site.settings.http, requests_per_second=0.5)) as limited:
        statuses = [limited.get("/api/v1/events").status for _ in range(6)]
        assert statuses[0] == 200
        assert 429 in statuses
        assert limited.get("/healthz").status == 200
        # A user with the token is not kept out by others that share the address, as behind a proxy.
        assert limited.get("/api/v1/events", token=TOKEN).status == 200


def test_guessing_the_token_is_slow(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with serving_site(monkeypatch, replace(site.settings.http, requests_per_second=100.0)) as limited:
        path = "/api/v1/reload"
        statuses = [limited.ask("POST", path, token=f"{number:032}").status for number in range(40)]
        assert set(statuses) == {401, 429}
        # One who has the token is not kept out by those who guess.
        assert limited.ask("POST", path, token=TOKEN).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 70000\r\n\r\n",
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 5,
    ],
    ids=["announced", "absurd", "in chunks"],
)  # fmt: skip
def test_a_body_that_is_too_large_is_not_read(body: bytes, site: Site) -> None:
    with connected(site) as client:
        client.sendall(HEAD + body)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"too_large"' in answer


def test_a_head_that_is_too_large_is_refused(site: Site) -> None:
    with connected(site) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000)
        assert read_all(client).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the times that clients have."""
    for name in ("_HEAD_SECONDS", "_BODY_SECONDS", "_ANSWER_SECONDS"):
        monkeypatch.setattr(connections, name, 0.3)
    monkeypatch.setattr(connections, "_SWEEP_SECONDS", 0.1)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", HEAD + b"Content-Length: 10\r\n\r\n{"],
    ids=["nothing", "a word", "half a head", "half a body"],
)
@pytest.mark.usefixtures("hasty")
def test_a_client_that_never_ends_its_request_is_disconnected(
    sent: bytes, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    with serving_site(monkeypatch, site.settings.http) as other, connected(other) as client:
        client.sendall(sent)
        assert read_all(client) == b""


@pytest.mark.usefixtures("hasty")
def test_sending_a_byte_now_and_then_does_not_help(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with serving_site(monkeypatch, site.settings.http) as other, connected(other) as client:
        is_over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not is_over.wait(0.05):
                    client.sendall(b"x")

        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        thread = threading.Thread(target=drip)
        thread.start()
        with contextlib.suppress(ConnectionResetError):
            assert read_all(client) == b""
        is_over.set()
        thread.join()


@pytest.mark.usefixtures("hasty")
def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with (
        serving_site(monkeypatch, replace(site.settings.http, requests_per_second=1e6)) as other,
        connected(other, small=True) as client,
    ):
        # Many questions at once: the answers fill all buffers.
        with contextlib.suppress(OSError):
            for _ in range(60):
                client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # From its first byte on, the server has the connection.
        assert client.recv(1)
        wait_until(lambda: server_ends(other) == 0, "the server's end of the connection to be closed")
        assert other.get("/healthz").status == 200


def test_a_thousand_connections_do_not_keep_others_out(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    with (
        serving_site(monkeypatch, replace(site.settings.http, connections=20)) as small,
        contextlib.ExitStack() as stack,
    ):
        for number in range(300):
            client = stack.enter_context(connected(small))
            with contextlib.suppress(OSError):
                client.sendall(b"GET / HTTP/1.1\r\n" if number % 2 else b"")
            if number % 50 == 49:
                assert small.get("/healthz").status == 200
                # Those before this request have been accepted. A few that were replaced may be about to be closed.
                assert server_ends(small) <= 25
        wait_until(lambda: server_ends(small) <= 20, "connections above the limit to be closed")
        assert small.get("/api/v1/secondaries").status == 200


def test_not_all_connections_wait_for_a_database_server_that_does_not_answer(site: Site) -> None:
    site.questions.may_answer.clear()
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(site.get("/api/v1/positions").status)) for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(statuses) == 10, "those that are too many to be refused")
    assert site.get("/healthz").status == 200
    site.questions.may_answer.set()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200] * 20 + [429] * 10


def test_a_request_that_waits_for_a_database_server_is_not_cut_for_a_new_one(
    monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    with (
        serving_site(monkeypatch, replace(site.settings.http, connections=3)) as small,
        contextlib.ExitStack() as stack,
    ):
        small.questions.may_answer.clear()
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(small.get("/api/v1/positions").status))
        thread.start()
        wait_until(lambda: small.questions.asked, "the question")
        for _ in range(10):
            stack.enter_context(connected(small))
        assert small.get("/healthz").status == 200
        small.questions.may_answer.set()
        thread.join(30)
        assert statuses == [200]


@contextlib.contextmanager
def connected(site: Site, *, small: bool = False) -> Iterator[socket.socket]:
    """Give a connection to the server, with small buffers if wanted."""
    client = socket.socket()
    with client:
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", site.port))
        yield client


def read_all(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    parts = []
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def server_ends(site: Site) -> int:
    """Return how many connections the server has open: sockets with its port that belong to a process."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    port, listening = f":{site.port:04X}", "0A"
    return sum(row[1].endswith(port) and row[3] != listening and row[9] != "0" for row in rows)
