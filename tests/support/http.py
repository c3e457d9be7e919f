"""A client of the HTTP server of a command that runs."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Replica, Running

TOKEN = "fedcba9876543210fedcba9876543210"
LISTEN = ("--listen", "127.0.0.1:0")
_PATIENCE_SECONDS = 40.0
_ROOT = Path(__file__).parents[2]


class Client:
    """Asks the server of a command that was started with LISTEN."""

    def __init__(self, running: Running) -> None:
        running.wait_for_log(r"HTTP: listening on http://127\.0\.0\.1:\d+")
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", running.stderr)
        assert found is not None
        self.port = int(found[1])

    @property
    def url(self) -> str:
        """Return the address for a browser."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return a document that can be read."""
        status, document = self.ask("GET", path)
        assert status == 200, document
        return document

    def change(self, path: str, body: object = None, method: str = "POST") -> tuple[int, Any]:
        """Return the status and the document of the answer to a change, made with the token."""
        return self.ask(method, path, body, token=TOKEN)

    def secondary(self, name: str = "db1") -> Any:
        """Return the status of a secondary."""
        return self.get(f"/api/v1/secondaries/{name}")


def with_token(replica: Replica) -> None:
    """Let the commands of a test have the token."""
    path = replica.folder / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    replica.settings["REPLICA_HTTP_TOKEN_FILE"] = str(path)


@contextlib.contextmanager
def hostile_clients(port: int, count: int) -> Iterator[None]:
    """Let many clients that mean no good, in a process of their own, connect to a server while the context lasts."""
    words = [sys.executable, "-m", "tests.support.hostile_clients", str(port), str(count)]
    process = subprocess.Popen(words, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{count} clients have connected\n"
        yield
    finally:
        process.communicate(timeout=30)
