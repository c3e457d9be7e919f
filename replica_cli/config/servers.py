"""Reads the primary and the secondaries; the lists about the secondaries must have one length."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.config.parsers import choice, full_items, items, whole_number
from replica_cli.core.settings import Secret, Server, Tls, TlsMode
from replica_cli.core.wording import counted

if TYPE_CHECKING:
    from replica_cli.config.sources import Sources

_PORT = whole_number(1, 65535)
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,191}")  # state rows store 191 characters; file names contain it too
LAST_SERVER_ID = 2**32 - 1


def read_primary(sources: Sources) -> Server:
    """Return the primary; problems are added to `sources`."""
    return Server(
        name=sources.text("MARIA_PRIMARY_NAME") or "mariadb-primary",
        host=sources.parsed("MARIA_PRIMARY_HOST", _host, "mariadb-primary"),
        port=sources.parsed("MARIA_PRIMARY_PORT", _PORT, 3306),
        user=sources.text("MARIA_USER") or "replica",
        password=_default_password(sources),
        tls=_read_tls(sources, "MARIA_PRIMARY"),
        is_primary=True,
    )


def read_secondaries(sources: Sources, primary: Server) -> tuple[Server, ...]:
    """Return the secondaries. One without a user or password of its own has that of the primary."""
    name = "MARIA_SECONDARY_HOSTS"
    if sources.text(name) is None:
        sources.complain(name, "is not set: name at least one secondary")
        return ()
    nothing: tuple[str, ...] = ()
    hosts = sources.parsed(name, lambda text: tuple(_host(h) for h in full_items(text)), nothing)
    if not hosts:
        return ()
    count = len(hosts)
    problems = len(sources.problems)
    ports = _as_many(sources, "MARIA_SECONDARY_PORTS", count)
    standard = (3306,) * count
    numbers = sources.parsed("MARIA_SECONDARY_PORTS", lambda _: tuple(_PORT(p or "3306") for p in ports), standard)
    has_ports = len(sources.problems) == problems
    addresses = [f"{h}:{p}" for h, p in zip(hosts, numbers, strict=True)]
    names = [n or a for n, a in zip(_as_many(sources, "MARIA_SECONDARY_NAMES", count), addresses, strict=True)]
    users = _as_many(sources, "MARIA_SECONDARY_USERS", count)
    passwords = _read_passwords(sources, count)
    tls = _read_tls(sources, "MARIA_SECONDARY")
    secondaries = tuple(
        Server(names[i], hosts[i], numbers[i], users[i] or primary.user, passwords[i] or primary.password, tls)
        for i in range(count)
    )
    # If the ports are wrong, the addresses, and the names that are made of them, are wrong too: they are not checked.
    _check_names(sources, [name for name in names if has_ports or name not in addresses])
    if has_ports:
        _check_addresses(sources, secondaries, primary)
    return secondaries


def read_server_id(sources: Sources, secondaries: int) -> int:
    """Return the first server id of the dump connections. Each secondary needs two; all must fit in 32 bits."""
    return sources.parsed("MARIA_SERVER_ID", whole_number(1, LAST_SERVER_ID - max(0, 2 * secondaries - 1)), 100)


def _host(text: str) -> str:
    # An IPv6 address has two or more colons. One colon means a port, which has a variable of its own.
    if text.count(":") == 1:
        raise ValueError(f"{text!r} contains a port: ports have their own variable")
    if any(c.isspace() for c in text):
        raise ValueError(f"{text!r} is not a host")
    return text


def _as_many(sources: Sources, name: str, count: int) -> tuple[str, ...]:
    text = sources.text(name)
    if text is None:
        return ("",) * count
    parts = items(text)
    if len(parts) != count:
        sources.complain(name, f"has {counted(len(parts), 'item')}, MARIA_SECONDARY_HOSTS has {count}")
        return ("",) * count
    return parts


def _default_password(sources: Sources) -> Secret:
    secret = sources.secret("MARIA_PASS")
    if secret is not None and secret.is_from_file and len(secret.text.splitlines()) > 1:
        sources.complain("MARIA_PASS_FILE", f"has {len(secret.text.splitlines())} lines: a password is one line")
    return Secret("replica" if secret is None else secret.text)


def _read_passwords(sources: Sources, count: int) -> tuple[Secret | None, ...]:
    name = "MARIA_SECONDARY_PASSWORDS"
    secret = sources.secret(name)
    if secret is None or not secret.text:
        return (None,) * count
    # A file has one password on each line, so that passwords may contain commas and blanks. splitlines() is not used,
    # because it also splits at other characters, such as form feeds.
    lines = tuple(line.removesuffix("\r") for line in secret.text.split("\n"))
    parts = lines if secret.is_from_file else items(secret.text)
    if len(parts) != count:
        label = f"{name}_FILE" if secret.is_from_file else name
        sources.complain(label, f"has {counted(len(parts), 'item')}, MARIA_SECONDARY_HOSTS has {count}")
        return (None,) * count
    return tuple(Secret(p) if p else None for p in parts)


def _read_tls(sources: Sources, side: str) -> Tls:
    ca, cert, key = (
        sources.parsed(f"{side}_TLS_{part}", _readable_file, None) for part in ("CA", "CERT", "KEY")
    )  # fmt: skip
    # A user who names a certificate authority wants the certificate checked; "preferred" accepts any server.
    unset = TlsMode.VERIFY_CA if sources.text(f"{side}_TLS_CA") else TlsMode.PREFERRED
    mode = sources.parsed(f"{side}_TLS", choice(TlsMode), unset)
    if ca is not None and mode not in (TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY):
        sources.warnings.append(f"{side}_TLS_CA: is not used, because {side}_TLS={mode} checks no certificate")
    if sources.text(f"{side}_TLS_KEY") and not sources.text(f"{side}_TLS_CERT"):
        sources.complain(f"{side}_TLS_KEY", f"needs {side}_TLS_CERT as well")
    return Tls(mode, ca, cert, key)


def _readable_file(text: str) -> Path | None:
    path = Path(text)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"{text}: {error.strerror or type(error).__name__}") from None


def _check_names(sources: Sources, names: list[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            sources.complain(
                "MARIA_SECONDARY_NAMES", f"{name!r} is the name of {times} secondaries: names must be unique"
            )
        if not _NAME.fullmatch(name):
            sources.complain("MARIA_SECONDARY_NAMES", f"{name!r} cannot be part of a file name")


def _check_addresses(sources: Sources, secondaries: tuple[Server, ...], primary: Server) -> None:
    addresses = Counter((s.host.lower(), s.port) for s in secondaries)
    for (host, port), times in addresses.items():
        # Two instances on one server would apply every change twice.
        if times > 1:
            sources.complain("MARIA_SECONDARY_HOSTS", f"{host}:{port} is named {times} times")
        if (host, port) == (primary.host.lower(), primary.port):
            sources.complain("MARIA_SECONDARY_HOSTS", f"{host}:{port} is the primary")
