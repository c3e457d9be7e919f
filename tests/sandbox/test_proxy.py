from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy

    MakeProxy = Callable[[int], Proxy]

pytestmark = pytest.mark.every_release


@pytest.fixture
def echo_port() -> Iterator[int]:
    """Give the port of a server that echoes what it reads."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=answer, args=(connection,), daemon=True))
                threads[-1].start()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    acceptor = threading.Thread(target=serve, daemon=True)
    acceptor.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    acceptor.join()


@pytest.fixture
def link(proxy: MakeProxy, echo_port: int) -> Iterator[tuple[Proxy, socket.socket]]:
    between = proxy(echo_port)
    with _client(between) as client:
        assert _said_again(client, b"hello")
        yield between, client


def _client(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _said_again(client: socket.socket, data: bytes) -> bool:
    client.sendall(data)
    return _received(client, len(data)) == data


def _received(client: socket.socket, count: int) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while len(data) < count and (more := client.recv(count - len(data))):
            data += more
    return data


def test_it_passes_much_unchanged(link: tuple[Proxy, socket.socket]) -> None:
    _, client = link
    data = bytes(range(256)) * 20_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    assert _received(client, len(data)) == data
    sender.join()


def test_cut_ends_connections_and_takes_new_ones(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.cut()
    assert _received(client, 1) == b""
    with _client(proxy) as again:
        assert _said_again(again, b"x")


def test_frozen_it_takes_data_and_gives_none_until_thawed(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.freeze()
    client.sendall(b"held")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    with _client(proxy) as other:
        other.sendall(b"accepted")
        proxy.thaw()
        client.settimeout(5)
        assert _received(client, 4) == b"held"
        assert _received(other, 8) == b"accepted"


def test_stranded_it_passes_neither_bytes_nor_an_end_of_what_was_open(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.strand()
    client.sendall(b"lost")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    with _client(proxy) as other:
        assert _said_again(other, b"new ones work")
        client.settimeout(5)
        proxy.cut_stranded()
        assert _received(client, 1) == b""
        assert _said_again(other, b"still")


def test_refused_are_new_connections_only(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        _client(proxy)
    assert _said_again(client, b"still here")
    proxy.restore()
    with _client(proxy) as again:
        assert _said_again(again, b"x")


def test_delay_holds_back_each_way(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.delay(0.1)
    began = time.monotonic()
    assert _said_again(client, b"slow")
    assert 0.2 <= time.monotonic() - began < 2
    proxy.delay(0)
    assert _said_again(client, b"quick")


def test_throttled_it_passes_on_at_a_rate_what_the_server_sends(link: tuple[Proxy, socket.socket]) -> None:
    proxy, client = link
    proxy.throttle(1000)
    began = time.monotonic()
    assert _said_again(client, b"x" * 200)
    assert _said_again(client, b"x" * 200)  # passed on when the time of the first answer is over
    assert 0.2 <= time.monotonic() - began < 2
    proxy.throttle(0)
    assert _said_again(client, b"quick")


@pytest.mark.parametrize("count", [1, 4, 7])
def test_cut_after_passes_exactly_so_many_bytes_once(link: tuple[Proxy, socket.socket], count: int) -> None:
    proxy, client = link
    proxy.cut_after(count)
    client.sendall(b"1234567")
    assert _received(client, 99) == b"1234567"[:count]
    with _client(proxy) as again:
        assert _said_again(again, b"x" * 100)


def test_a_target_that_is_down_ends_the_connection(proxy: MakeProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with _client(proxy(port)) as client:
        assert _received(client, 1) == b""
