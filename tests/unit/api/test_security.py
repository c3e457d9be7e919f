"""Under which names the server may be called, TLS with certificates of clients, and the socket itself."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from replica_cli.api.listener import open_listener
from replica_cli.api.serving import _NICENESS
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.settings import Http, ListenAddress, Secret
from tests.unit.api.site import TOKEN, serving_site

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.api.site import Site

LOCAL = ListenAddress("127.0.0.1", 0)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:9400", "LOCALHOST:1", "[::1]:9400", "a.localhost", "127.1.2.3"]
)
def test_names_of_this_machine_are_answered(host: str, site: Site) -> None:
    assert site.get("/healthz", headers={"Host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:9400", "localhost.evil.example", "10.0.0.1"])
def test_a_page_of_another_site_cannot_read_through_a_name_of_its_own(host: str, site: Site) -> None:
    for path in ("/", "/healthz", "/api/v1/secondaries"):
        answer = site.get(path, headers={"Host": host})
        assert (answer.status, answer.document["error"]) == (400, "bad_request")


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/positions", "/api/v1/secondaries", "/api/v1/nothing"])
def test_a_page_of_another_site_cannot_use_the_api(path: str, site: Site) -> None:
    answer = site.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status, answer.document["error"]) == (400, "bad_request")
    assert site.questions.asked == []


def test_a_link_of_another_site_leads_to_the_page_which_can_use_the_api(site: Site) -> None:
    for path in ("/", "/healthz", "/readyz", "/metrics"):
        assert site.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status in {200, 503}
    for kind in ("same-origin", "none"):
        assert site.get("/api/v1/secondaries", headers={"Sec-Fetch-Site": kind}).status == 200


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_host_that_is_no_name_is_an_error_of_the_configuration(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REPLICA_LISTEN: a.*:1: the host is not a name"):
        open_listener(Http(ListenAddress(host, 1)))


def test_a_token_without_tls_on_a_network_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "can read the token: REPLICA_HTTP_TLS_CERT encrypts it"
    for host, is_warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        with serving_site(monkeypatch, Http(ListenAddress(host, 0), Secret(TOKEN))) as site:
            assert site.get("/healthz").status == 200
            assert (text in caplog.text) is is_warned


def test_the_socket_of_another_process_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "http"
    first = open_listener(Http(ListenAddress(path=path)))
    path.unlink()
    second = open_listener(Http(ListenAddress(path=path)))
    first.close()
    assert path.is_socket()
    second.close()
    assert not path.exists()


def test_a_port_that_is_taken_is_named(site: Site) -> None:
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{site.port}: another program listens there"):
        open_listener(Http(ListenAddress("127.0.0.1", site.port)))
    with pytest.raises(ConfigurationError, match=r"REPLICA_LISTEN: 203\.0\.113\.1:1: "):
        open_listener(Http(ListenAddress("203.0.113.1", 1)))
    with pytest.raises(ConfigurationError, match=r"REPLICA_LISTEN: nowhere\.invalid:1: "):
        open_listener(Http(ListenAddress("nowhere.invalid", 1)))


def test_a_unix_socket_is_for_its_owner_and_group_and_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "http"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # as of a process that was killed
    with serving_site(monkeypatch, Http(ListenAddress(path=path), Secret(TOKEN))):
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(ConfigurationError, match="another program listens there"):
            open_listener(Http(ListenAddress(path=path)))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert not path.exists()


class Authority:
    """An authority that signs certificates, and their files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = self._write(f"{name}-ca", self._signed(self._name, self._key, is_authority=True), self._key)[0]

    def certificate(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._write(name, self._signed(subject, key, is_authority=False), key)

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
        pem, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pem, secret


def test_with_an_authority_only_clients_that_it_knows_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = Authority(tmp_path, "own"), Authority(tmp_path, "other")
    cert, key = own.certificate("server")
    http_settings = Http(LOCAL, None, tls_cert=cert, tls_key=key, client_ca=own.file)
    with serving_site(monkeypatch, http_settings) as site:

        def status(certificate: tuple[Path, Path] | None, method: str = "GET", path: str = "/healthz") -> int:
            context = ssl.create_default_context(cafile=str(own.file))
            if certificate is not None:
                context.load_cert_chain(*certificate)
            connection = http.client.HTTPSConnection("localhost", site.port, context=context, timeout=20)
            try:
                connection.request(method, path)
                return connection.getresponse().status
            finally:
                connection.close()

        assert status(own.certificate("client")) == 200
        # A certificate lets a client read. A change needs the token as well.
        assert status(own.certificate("client"), "POST", "/api/v1/reload") == 403
        for certificate in (None, other.certificate("stranger")):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                status(certificate)
        # A client that begins no handshake, and one that speaks no TLS.
        with (
            socket.create_connection(("127.0.0.1", site.port)) as silent,
            socket.create_connection(("127.0.0.1", site.port)) as plain,
        ):
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            plain.settimeout(20)
            assert b"HTTP/1.1 200" not in plain.recv(100)
            assert status(own.certificate("client")) == 200
            silent.close()


def test_clients_that_begin_no_handshake_do_not_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Authority(tmp_path, "own")
    cert, key = own.certificate("server")
    with serving_site(monkeypatch, Http(LOCAL, tls_cert=cert, tls_key=key, connections=5)) as site:
        context = ssl.create_default_context(cafile=str(own.file))
        silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(40)]
        try:
            connection = http.client.HTTPSConnection("localhost", site.port, context=context, timeout=20)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            for each in silent:
                each.close()


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "own")
    cert, key = authority.certificate("server")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    whole = Http(LOCAL, tls_cert=cert, tls_key=key, client_ca=authority.file)
    for broken, name in (
        (replace(whole, tls_cert=wrong), "REPLICA_HTTP_TLS_CERT"),
        (replace(whole, tls_key=authority.certificate("second")[1]), "REPLICA_HTTP_TLS_CERT"),
        (replace(whole, client_ca=wrong), "REPLICA_HTTP_CLIENT_CA"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{name}: "):
            open_listener(broken)


def test_threads_of_http_wait_for_everything_else(site: Site) -> None:
    assert site.get("/healthz").status == 200
    niceness = {}
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - names are enough
        with open(f"/proc/self/task/{task}/comm", encoding="ascii") as name:  # noqa: PTH123 - as above
            niceness[name.read().strip()] = os.getpriority(os.PRIO_PROCESS, int(task))
    assert os.getpriority(os.PRIO_PROCESS, 0) < _NICENESS
    assert _NICENESS in niceness.values() or min(niceness.values()) >= _NICENESS
