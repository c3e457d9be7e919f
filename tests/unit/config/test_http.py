"""Where the HTTP server listens, and who may use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from replica_cli.config.loading import load_settings, read_configuration
from replica_cli.config.overrides import Overrides
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.settings import Http, ListenAddress, Secret

NOWHERE = Path("no such folder/.env")
BASE = {"MARIA_SECONDARY_HOSTS": "db2"}
TOKEN = "0123456789abcdef0123"


def http(**variables: str) -> Http:
    return load_settings(None, {**BASE, **variables}, NOWHERE).http


def problem(**variables: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        http(**variables)
    return "; ".join(caught.value.problems)


def written(folder: Path, text: str = TOKEN, mode: int = 0o600) -> str:
    path = folder / "file"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_without_an_address_nothing_listens() -> None:
    assert http() == Http()
    assert http().listen is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9400", ListenAddress("127.0.0.1", 9400)),
        ("localhost:0", ListenAddress("localhost", 0)),
        ("[::1]:9400", ListenAddress("::1", 9400)),
        ("unix:/run/replica/http", ListenAddress(path=Path("/run/replica/http"))),
    ],
)
def test_an_address_is_written_as_it_is_read(text: str, address: ListenAddress) -> None:
    assert http(REPLICA_LISTEN=text).listen == address
    assert str(address) == text
    assert address.is_local


@pytest.mark.parametrize(
    "text", ["9400", ":9400", "127.0.0.1:", "127.0.0.1:x", "h:65536", "::1:9400", "[zz]:1", "[h]:1", "unix:run"]
)
def test_what_is_not_an_address_is_refused(text: str) -> None:
    assert problem(REPLICA_LISTEN=text).startswith("REPLICA_LISTEN: ")


@pytest.mark.parametrize("text", ["0.0.0.0:9400", "[::]:9400", "10.0.0.7:9400", "db1.example:9400", "127.evil:1"])
def test_an_address_that_others_reach_needs_a_token_or_certificates_of_clients(text: str, tmp_path: Path) -> None:
    assert "REPLICA_HTTP_TOKEN_FILE (a file made with `(umask 077; openssl rand" in problem(REPLICA_LISTEN=text)
    assert http(REPLICA_LISTEN=text, REPLICA_HTTP_TOKEN_FILE=written(tmp_path)).token == Secret(TOKEN)
    pem = written(tmp_path)
    tls = {"REPLICA_HTTP_TLS_CERT": pem, "REPLICA_HTTP_TLS_KEY": pem}
    assert "set REPLICA_HTTP_TOKEN_FILE" in problem(REPLICA_LISTEN=text, **tls)
    assert http(REPLICA_LISTEN=text, **tls, REPLICA_HTTP_CLIENT_CA=pem).client_ca == Path(pem)


def test_the_option_wins_over_the_variable() -> None:
    environ = {**BASE, "REPLICA_LISTEN": "127.0.0.1:1"}
    assert load_settings(Overrides(listen="127.0.0.1:2"), environ, NOWHERE).http.listen == ListenAddress("127.0.0.1", 2)
    with pytest.raises(ConfigurationError, match=r"^--listen: "):
        load_settings(Overrides(listen="2"), environ, NOWHERE)


@pytest.mark.parametrize("text", ["", "tiny-one", "with a blank in it", "two lines\nof a token", "0123456789abcdeé"])
def test_a_token_that_a_client_cannot_send_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    said = problem(REPLICA_HTTP_TOKEN_FILE=written(tmp_path, text))
    assert said.startswith("REPLICA_HTTP_TOKEN_FILE: ")
    assert not text or text not in said


def test_a_token_that_every_user_can_read_is_warned_of(tmp_path: Path) -> None:
    # A folder that others may enter, as pytest's are not.
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            try:
                folder.chmod(0o711)
            except OSError:
                pytest.skip("the folder above belongs to another user")
    path = written(tmp_path, mode=0o644)
    warnings = read_configuration(None, {**BASE, "REPLICA_HTTP_TOKEN_FILE": path}, NOWHERE).warnings
    assert any(w.startswith(f"REPLICA_HTTP_TOKEN_FILE: {path}: every user") for w in warnings)


def test_half_of_a_certificate_is_refused(tmp_path: Path) -> None:
    pem = written(tmp_path)
    assert "REPLICA_HTTP_TLS_KEY: is not set" in problem(REPLICA_HTTP_TLS_CERT=pem)
    assert "REPLICA_HTTP_TLS_CERT: is not set" in problem(REPLICA_HTTP_TLS_KEY=pem)
    assert "REPLICA_HTTP_CLIENT_CA: needs" in problem(REPLICA_HTTP_CLIENT_CA=pem)
    assert "No such file" in problem(REPLICA_HTTP_TLS_CERT="/nowhere", REPLICA_HTTP_TLS_KEY=pem)
