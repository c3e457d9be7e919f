"""The primary and the secondaries, from lists that must be of one length."""

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
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,191}")  # state rows hold 191 characters; file names carry it as well
LAST_SERVER_ID = 2**32 - 1


def read_primary(sources: Sources) -> Server:
    """Return the primary."""
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
    """Return the secondaries; they log in like the primary where they name no user or password of their own."""
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
    places = [f"{h}:{p}" for h, p in zip(hosts, numbers, strict=True)]
    names = [n or place for n, place in zip(_as_many(sources, "MARIA_SECONDARY_NAMES", count), places, strict=True)]
    users = _as_many(sources, "MARIA_SECONDARY_USERS", count)
    passwords = _read_passwords(sources, count)
    tls = _read_tls(sources, "MARIA_SECONDARY")
    found = tuple(
        Server(names[i], hosts[i], numbers[i], users[i] or primary.user, passwords[i] or primary.password, tls)
        for i in range(count)
    )
    # Without its port a place, and a name that is made of it, is not what was meant.
    _check_names(sources, [name for name in names if has_ports or name not in places])
    if has_ports:
        _check_places(sources, found, primary)
    return found


def read_server_id(sources: Sources, secondaries: int) -> int:
    """Return the first of our server ids, two for each secondary; every one must fit in 32 bits."""
    return sources.parsed("MARIA_SERVER_ID", whole_number(1, LAST_SERVER_ID - max(0, 2 * secondaries - 1)), 100)


def _host(text: str) -> str:
    # IPv6 addresses have two colons or more; one colon is a port in the wrong place.
    if text.count(":") == 1:
        raise ValueError(f"{text!r} holds a port: ports have a variable of their own")
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
    found = sources.secret("MARIA_PASS")
    if found is not None and found.is_from_file and len(found.text.splitlines()) > 1:
        sources.complain("MARIA_PASS_FILE", f"has {len(found.text.splitlines())} lines: a password is one line")
    return Secret("replica" if found is None else found.text)


def _read_passwords(sources: Sources, count: int) -> tuple[Secret | None, ...]:
    name = "MARIA_SECONDARY_PASSWORDS"
    found = sources.secret(name)
    if found is None or not found.text:
        return (None,) * count
    # A file has one a line, so that a password may have commas and blanks. splitlines() would cut at odd characters.
    lines = tuple(line.removesuffix("\r") for line in found.text.split("\n"))
    parts = lines if found.is_from_file else items(found.text)
    if len(parts) != count:
        label = f"{name}_FILE" if found.is_from_file else name
        sources.complain(label, f"has {counted(len(parts), 'item')}, MARIA_SECONDARY_HOSTS has {count}")
        return (None,) * count
    return tuple(Secret(p) if p else None for p in parts)


def _read_tls(sources: Sources, side: str) -> Tls:
    ca, cert, key = (
        sources.parsed(f"{side}_TLS_{part}", _readable_file, None) for part in ("CA", "CERT", "KEY")
    )  # fmt: skip
    # Who names an authority wants it checked: "preferred" would encrypt and believe anyone.
    unset = TlsMode.VERIFY_CA if sources.text(f"{side}_TLS_CA") else TlsMode.PREFERRED
    mode = sources.parsed(f"{side}_TLS", choice(TlsMode), unset)
    if ca is not None and mode not in (TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY):
        sources.warnings.append(f"{side}_TLS_CA: is not used, as {side}_TLS={mode} checks no certificate")
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
            sources.complain("MARIA_SECONDARY_NAMES", f"{name!r} stands for {times} secondaries: names must be unique")
        if not _NAME.fullmatch(name):
            sources.complain("MARIA_SECONDARY_NAMES", f"{name!r} cannot be part of a file name")


def _check_places(sources: Sources, secondaries: tuple[Server, ...], primary: Server) -> None:
    places = Counter((s.host.lower(), s.port) for s in secondaries)
    for (host, port), times in places.items():
        # Two instances on one server would apply every change twice.
        if times > 1:
            sources.complain("MARIA_SECONDARY_HOSTS", f"{host}:{port} is named {times} times")
        if (host, port) == (primary.host.lower(), primary.port):
            sources.complain("MARIA_SECONDARY_HOSTS", f"{host}:{port} is the primary")
