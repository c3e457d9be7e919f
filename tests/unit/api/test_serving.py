"""The begin of the server, and its end: expected or not, it is never silent."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.api import server
from replica_cli.api.connections import Connections
from replica_cli.api.listener import open_listener
from replica_cli.api.serving import serving
from replica_cli.core.settings import Http, ListenAddress
from tests.support.command import wait_until
from tests.unit.api.site import serving_site, settings_with

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("part", ["_accept", "_sweep", "_sample"])
def test_a_part_that_fails_ends_the_server_and_is_logged(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object) -> None:
        await asyncio.sleep(0.05)
        raise ValueError("a fault")

    monkeypatch.setattr(server if part == "_sample" else Connections, part, fail)
    with serving_site(monkeypatch) as site:
        wait_until(lambda: "nothing answers on" in caplog.text, "the end of the server")
        assert "ValueError: a fault" in caplog.text
        wait_until(lambda: not connects(site.port), "the address to be free")


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_whose_thread_cannot_start_leaves_the_address_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = Http(ListenAddress(path=tmp_path / "http"))
    settings = settings_with(http)

    def fail(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError), serving(settings, settings.secondaries):
            pass
    assert not (tmp_path / "http").exists()
    open_listener(http).close()
