"""A server that is not trusted gets no password and no file; its broken answers become errors."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from replica_cli.core.errors import ExitCode, PrimaryError, ReplicaError
from replica_cli.core.position import Position
from replica_cli.core.settings import Network, Server, TlsMode
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.mysql.session import connect
from replica_cli.reader.dump import open_dump
from tests.support.fake_server import NETWORK, OK, PASSWORD, FakeServer, greeting, switch_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from replica_cli.mysql.session import Session


def session_of(server: Server) -> None:
    connect(server, NETWORK).close()


def dump_of(server: Server) -> None:
    start = Position("binlog.000001", 4)
    open_dump(server, NETWORK, server_id=9, start=start, by_gtid=False, is_mariadb=False).close()


KINDS = pytest.mark.parametrize("login", [session_of, dump_of])


def asking(*packets: bytes, plugin: bytes = b"mysql_native_password") -> Callable[[FakeServer], None]:
    def talk(server: FakeServer) -> None:
        server.send(greeting(plugin), 0)
        server.read()
        for number, packet in enumerate(packets):
            server.send(packet, 2 + 2 * number)
            server.read()

    return talk


def public_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"\x01" + pem


ASKED = {
    "clear text": (asking(switch_to(b"mysql_clear_password")), "clear text"),
    "dialog": (asking(switch_to(b"dialog") + b"\x04Password: "), "clear text"),
    "old password": (asking(switch_to(b"mysql_old_password")), "not supported"),
    "unknown": (asking(switch_to(b"parsec")), "not supported"),
    "caching_sha2 with a key": (
        asking(switch_to(b"caching_sha2_password"), b"\x01\x04", public_key()), "a key that it sent"
    ),
    "caching_sha2 from the greeting": (
        asking(b"\x01\x04", public_key(), plugin=b"caching_sha2_password"), "a key that it sent"
    ),
    "sha256 with a key": (asking(switch_to(b"sha256_password"), public_key()), "a key that it sent"),
}  # fmt: skip


@KINDS
@pytest.mark.parametrize("asked", ASKED)
def test_the_password_is_not_shown_without_tls(login: Callable[[Server], None], asked: str) -> None:
    talk, words = ASKED[asked]
    with FakeServer(talk) as server, pytest.raises(PrimaryError, match=words) as refused:
        login(server.address())
    assert refused.value.hint
    assert PASSWORD not in server.received
    # Nor an answer to the key, which is as good: 256 bytes of RSA.
    assert len(server.received) < 400


@KINDS
@pytest.mark.parametrize("mode", [TlsMode.REQUIRED, TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY])
def test_nothing_is_sent_if_tls_is_required_and_not_offered(login: Callable[[Server], None], mode: TlsMode) -> None:
    with FakeServer(asking(switch_to(b"mysql_clear_password"))) as server, pytest.raises(ReplicaError, match="TLS"):
        login(server.address(mode))
    assert server.received == b""


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog"])
def test_a_password_in_clear_text_goes_through_tls_alone(plugin: bytes, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))

    def talk(server: FakeServer) -> None:
        server.send(greeting(offers_tls=True), 0)
        server.read()
        server.start_tls(context)
        server.read()
        server.send(switch_to(plugin) if plugin != b"dialog" else b"\xfe" + plugin + b"\0\x05Password: ", 3)
        server.read()

    with FakeServer(talk) as server, contextlib.suppress(ServerError):
        connect(server.address(), Network(connect_timeout=1.0))
    assert PASSWORD + b"\0" in server.received


def certificate(folder: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now,
                                   now + dt.timedelta(days=1)).sign(key, hashes.SHA256())  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def greeting_of(data: bytes) -> Callable[[FakeServer], None]:
    def talk(server: FakeServer) -> None:
        server.send_raw(data)
        server._socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]

    return talk


def packet(payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + b"\0" + payload


GREETINGS = {
    "empty": packet(b""),
    "cut": packet(greeting()[:12]),
    "cut in the capabilities": packet(greeting()[:24]),
    "without a version": packet(b"\x0a\0" + bytes(40)),
    "no number in the version": packet(greeting(version=b"pgbouncer")),
    "zeros": bytes(4096),
    "a longer one than it has": b"\xff\xff\xff\0" + greeting(),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "nothing": b"",
}


@KINDS
@pytest.mark.parametrize("sent", GREETINGS)
@pytest.mark.parametrize("is_primary", [True, False], ids=["primary", "secondary"])
def test_what_is_no_greeting_is_an_error_of_that_server(
    login: Callable[[Server], None], sent: str, *, is_primary: bool
) -> None:
    with FakeServer(greeting_of(GREETINGS[sent])) as server, pytest.raises(ServerError) as met:
        login(server.address(is_primary=is_primary))
    assert met.value.exit_code is (ExitCode.PRIMARY if is_primary else ExitCode.SECONDARY)
    assert met.value.remedy is Remedy.RECONNECT
    assert met.value.message.startswith("p: ")


ANSWERS = {
    "a local file": b"\xfb/etc/passwd",
    "nothing": b"",
    "a cut length": b"\xfe\x01",
    "a huge text": b"\xfe" + b"\xff" * 7 + b"\x7f",
    "an error without a number": b"\xff",
}


def answer_of(session: Session, command: bytes) -> object:
    session.send([command])
    return session.receive(is_first=True)


WAYS = ("rows", "execute", "lines", "load", "receive")
# A LOAD DATA LOCAL is rightly answered with the wish for a file.
MET = [(answer, way) for answer in ANSWERS for way in WAYS if (answer, way) != ("a local file", "load")]


@pytest.mark.parametrize(("answer", "way"), MET)
def test_what_is_no_answer_is_an_error_of_that_server_and_ends_the_session(answer: str, way: str) -> None:
    def talk(server: FakeServer) -> None:
        server.send(greeting(), 0)
        server.read()
        server.send(OK, 2)
        server.read()  # charset and variables
        server.send(OK, 1)
        server.read()
        server.send(ANSWERS[answer], 1)
        server._socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]

    with FakeServer(talk) as server, connect(server.address(), NETWORK, may_load=True) as session:
        ways: dict[str, Callable[[], object]] = {
            "rows": lambda: session.rows("SELECT 1"),
            "execute": lambda: session.execute("DO 1"),
            "lines": lambda: list(session.lines("SELECT 'a', 0")),
            "load": lambda: session.load(b"LOAD DATA LOCAL INFILE 'x' INTO TABLE t", b"secret"),
            "receive": lambda: answer_of(session, b"DO 1"),
        }
        with pytest.raises(ReplicaError) as met:
            ways[way]()
        assert met.value.exit_code is ExitCode.PRIMARY
        assert "unexpected" not in str(met.value)
        with pytest.raises(ServerError):
            session.rows("SELECT 1")
    assert b"root:" not in server.received
