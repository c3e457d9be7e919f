"""TLS to each side: the server is verified as the settings require, or there is no connection."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer
    from tests.support.command import Replica
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
SIDES = ("PRIMARY", "SECONDARY")


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, a certificate of 127.0.0.1 by it, and an authority that signed none of them."""

    ca: Path
    cert: Path
    key: Path
    stranger: Path


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


@pytest.fixture
def certificates(replica: Replica) -> Iterator[Certificates]:
    # The server may run as another user, and under a root of its own.
    with tempfile.TemporaryDirectory(dir=replica.primary.binary.temporary_folder) as folder:
        Path(folder).chmod(0o755)
        yield make_certificates(Path(folder))


def make_certificates(tmp_path: Path) -> Certificates:
    """Make an authority, a stranger to it, and a certificate, in a folder."""
    for name in ("ca", "stranger"):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.pem",
        )  # fmt: skip
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=sandbox",
        "-keyout", f"{tmp_path}/server.key", "-out", f"{tmp_path}/server.csr",
    )  # fmt: skip
    openssl(
        "x509", "-req", "-in", f"{tmp_path}/server.csr", "-days", "2", "-CA", f"{tmp_path}/ca.pem",
        "-CAkey", f"{tmp_path}/ca.key", "-CAcreateserial", "-extfile", f"{tmp_path}/names",
        "-out", f"{tmp_path}/server.pem",
    )  # fmt: skip
    (tmp_path / "server.key").chmod(0o644)
    return Certificates(*(tmp_path / f for f in ("ca.pem", "server.pem", "server.key", "stranger.pem")))


@pytest.fixture
def encrypted(replica: Replica, certificates: Certificates, server_factory: ServerFactory) -> Replica:
    """Give servers that speak TLS on both sides."""
    binary = replica.primary.binary
    flavour, _, version = str(binary).partition(":")

    def start() -> SandboxServer:
        return server_factory(
            flavour, version, ssl_ca=binary.inside(certificates.ca), ssl_cert=binary.inside(certificates.cert),
            ssl_key=binary.inside(certificates.key),
        )  # fmt: skip

    replica.primary, replica.secondaries["db1"] = start(), start()
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")
    return replica


def ask(replica: Replica, mode: str, ca: Path | None = None) -> None:
    for side in SIDES:
        replica.settings[f"MARIA_{side}_TLS"] = mode
        if ca is not None:
            replica.settings[f"MARIA_{side}_TLS_CA"] = str(ca)


@pytest.mark.every_flavour
@pytest.mark.parametrize("mode", ["required", "verify-ca", "verify-identity"])
def test_what_is_asked_for_is_given(encrypted: Replica, certificates: Certificates, mode: str) -> None:
    ask(encrypted, mode, None if mode == "required" else certificates.ca)
    for server in (encrypted.primary, encrypted.secondaries["db1"]):
        with server.session() as session:
            # The server refuses connections without TLS, the dump connection too.
            session.execute("CREATE USER IF NOT EXISTS encrypted@'%' IDENTIFIED BY 'a-Long-enough-1' REQUIRE SSL")
            session.execute("GRANT ALL ON *.* TO encrypted@'%'")
    encrypted.settings |= {"MARIA_USER": "encrypted", "MARIA_PASS": "a-Long-enough-1"}
    encrypted.run("transfer")
    encrypted.on_primary("INSERT INTO t VALUES (3)")
    encrypted.catch_up()
    encrypted.assert_equal()


@pytest.mark.parametrize(("side", "code"), [("PRIMARY", 12), ("SECONDARY", 13)])
def test_another_authority_is_refused(encrypted: Replica, certificates: Certificates, side: str, code: int) -> None:
    ask(encrypted, "verify-ca", certificates.ca)
    encrypted.settings[f"MARIA_{side}_TLS_CA"] = str(certificates.stranger)
    assert "certificate" in encrypted.run("transfer", code=code).stderr.lower()


@pytest.mark.parametrize(("side", "code"), [("PRIMARY", 12), ("SECONDARY", 13)])
def test_another_name_is_refused_if_the_identity_is_verified(
    encrypted: Replica, certificates: Certificates, side: str, code: int
) -> None:
    ask(encrypted, "verify-ca", certificates.ca)
    encrypted.settings["MARIA_PRIMARY_HOST" if side == "PRIMARY" else "MARIA_SECONDARY_HOSTS"] = "localhost"
    encrypted.run("transfer")
    encrypted.settings[f"MARIA_{side}_TLS"] = "verify-identity"
    assert "localhost" in encrypted.run("stream", "--until-caught-up", code=code).stderr


@pytest.mark.servers("mariadb", "10.11")
@pytest.mark.parametrize(("side", "code"), [("PRIMARY", 12), ("SECONDARY", 13)])
def test_a_server_that_does_not_do_it_is_refused(replica: Replica, side: str, code: int) -> None:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.settings[f"MARIA_{side}_TLS"] = "required"
    refused = replica.run("transfer", code=code)
    assert "SSL" in refused.stderr or "TLS" in refused.stderr


@pytest.mark.servers("mariadb", "10.11")
def test_ed25519_works_or_says_which_package_it_needs(replica: Replica) -> None:
    with replica.primary.session() as session:
        try:
            session.execute("INSTALL SONAME 'auth_ed25519'")
        except ReplicaError as error:
            if "already" not in str(error).lower() and "exists" not in str(error).lower():
                pytest.skip("this server has no ed25519 plugin")
        session.execute("CREATE USER sealed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('a-Long-enough-1')")
    try:
        with replica.primary.session() as session:
            session.execute("GRANT ALL ON *.* TO sealed@'%'")
        replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        password = replica.environment()["MARIA_PASS"]
        user = replica.environment()["MARIA_USER"]
        replica.settings |= {
            "MARIA_USER": "sealed", "MARIA_PASS": "a-Long-enough-1", "MARIA_SECONDARY_USERS": user,
            "MARIA_SECONDARY_PASSWORDS": password,
        }  # fmt: skip
        if importlib.util.find_spec("nacl") is None:
            refused = replica.run("transfer", code=12)
            assert "pynacl" in refused.stderr
            assert "pip install" in refused.stderr
            assert "Traceback" not in refused.stderr
            return
        replica.run("transfer")
        replica.on_primary("INSERT INTO t VALUES (2)")
        replica.catch_up()
        replica.assert_equal()
    finally:
        with replica.primary.session() as session:
            session.execute("DROP USER sealed@'%'")


@pytest.mark.servers("mysql")
@pytest.mark.every_flavour
def test_caching_sha2_password_without_tls(replica: Replica) -> None:
    for server in (replica.primary, replica.secondaries["db1"]):
        with server.session() as session:
            session.execute("CREATE USER hashed@'%' IDENTIFIED WITH caching_sha2_password BY 'a-Long-enough-1'")
            session.execute("GRANT ALL ON *.* TO hashed@'%'")
    try:
        replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
        replica.settings |= {
            "MARIA_USER": "hashed", "MARIA_PASS": "a-Long-enough-1", "MARIA_PRIMARY_TLS": "off",
            "MARIA_SECONDARY_TLS": "off",
        }  # fmt: skip
        replica.run("transfer")
        replica.on_primary("INSERT INTO t VALUES (2)")
        replica.catch_up()
        replica.assert_equal()
    finally:
        for server in (replica.primary, replica.secondaries["db1"]):
            with server.session() as session:
                session.execute("DROP USER hashed@'%'")
