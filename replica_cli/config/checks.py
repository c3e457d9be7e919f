"""Checks that concern several settings. Each setting alone is valid by then."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from replica_cli.config.building import merged
from replica_cli.config.catalogue import all_settings
from replica_cli.config.declarations import LAST_SERVER_ID, Group
from replica_cli.config.effective import held_at, value_at
from replica_cli.config.filters import lost_patterns, repeated, schema_problems, selection_of
from replica_cli.core.settings import TlsMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.config.catalogue import Path
    from replica_cli.config.declarations import Declarations, HttpGroup, TlsGroup
    from replica_cli.core.selection import Selection

G = TypeVar("G", bound=Group)
LEAST_LEASE_SECONDS = 3.0
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,191}")  # state rows store 191 characters; file names contain it too


class Finding(NamedTuple):
    """What is wrong with settings together: a problem, or a warning.

    Attributes:
        path: the setting whose name the message begins with.
        text: the message.
        others: other settings that it is about. If one of them is wrong itself, the finding says nothing new.
        is_warning: the command goes on.

    """

    path: Path
    text: str
    others: tuple[Path, ...] = ()
    is_warning: bool = False


def check(declared: Declarations, called: Callable[[Path], str]) -> list[Finding]:
    """Return all findings.

    Args:
        declared: the settings.
        called: returns what the user calls a setting.

    """
    # What is wrong for all secondaries is found again with each one that gives another setting of the same group.
    return list(dict.fromkeys(_check_all(declared, called)))


def _check_all(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    yield from _check_secondaries(declared)
    yield from _check_server_id(declared)
    yield from _check_network(declared, called)
    yield from _check_files(declared)
    yield from _check_retry(declared, called)
    yield from _check_filters(declared, called)
    yield from _check_rules(declared, called)
    yield from _check_tls(declared, called)
    yield from _check_http(declared.http, called)


def _check_secondaries(declared: Declarations) -> Iterator[Finding]:
    if not declared.secondaries:
        yield Finding(("secondaries",), "is not set: name at least one secondary")
        return
    every_port: tuple[Path, ...] = tuple(("secondaries", i, "port") for i in range(len(declared.secondaries)))
    addresses: list[tuple[str, int]] = []
    names: list[str] = []
    for number, each in enumerate(declared.secondaries):
        at: Path = ("secondaries", number)
        host: str | None = each.host
        if host is None:
            yield Finding((*at, "host"), "is not set")
            continue
        names.append(each.name or f"{host}:{each.port}")
        addresses.append((host.lower(), each.port))
        ports: tuple[Path, ...] = ((*at, "port"),)
        if names.count(names[-1]) == 2:
            times = sum((s.name or f"{s.host}:{s.port}") == names[-1] for s in declared.secondaries)
            text = f"{names[-1]!r} is the name of {times} secondaries: names must be unique"
            yield Finding((*at, "name"), text, ((*at, "host"), *ports))
        if not _NAME.fullmatch(names[-1]):
            yield Finding((*at, "name"), f"{names[-1]!r} cannot be part of a file name", ports)
        if addresses[-1] == (declared.primary.host.lower(), declared.primary.port):
            others: tuple[Path, ...] = (*ports, ("primary", "host"), ("primary", "port"))
            yield Finding((*at, "host"), f"{host}:{each.port} is the primary", others)
        if addresses.count(addresses[-1]) == 2:
            # Two instances on one server would apply every change twice.
            times = sum((s.host.lower(), s.port) == addresses[-1] for s in declared.secondaries if s.host is not None)
            yield Finding((*at, "host"), f"{host}:{each.port} is named {times} times", every_port)


def _check_server_id(declared: Declarations) -> Iterator[Finding]:
    # Each secondary needs two; all must fit in 32 bits.
    limit = LAST_SERVER_ID - max(0, 2 * len(declared.secondaries) - 1)
    if declared.server_id > limit:
        text = f"'{declared.server_id}' is not a whole number from 1 to {limit}"
        yield Finding(("server_id",), text, (("secondaries",),))


def _check_network(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    network = declared.network
    if network.lease < LEAST_LEASE_SECONDS:
        # The holder renews the lease once a second. With a shorter one a busy process would look like a frozen one.
        yield Finding(("network", "lease"), f"must be at least {LEAST_LEASE_SECONDS:.0f}s")
    if network.heartbeat >= network.read_timeout:
        # An idle primary would look dead after every read timeout.
        text = f"must be shorter than {called(('network', 'read_timeout'))}"
        yield Finding(("network", "heartbeat"), text, (("network", "read_timeout"),))


def _groups(declared: Declarations, whole: G, at: Path, own_name: str) -> Iterator[tuple[G, Callable[[str], Path]]]:
    """Yield a group of settings as it holds for all secondaries, then for each one that gives some of its own.

    With it comes a function that returns where the value of a setting of the group was given.
    """
    yield whole, lambda name: (*at, name)
    for number, each in enumerate(declared.secondaries):
        own: Group | None = getattr(each, own_name)
        if own is not None:
            yield merged(whole, own), partial(_where, declared, ("secondaries", number, own_name))


def _where(declared: Declarations, at: Path, name: str) -> Path:
    return held_at(declared, (*at, name))


def _check_files(declared: Declarations) -> Iterator[Finding]:
    """Yield the files that this process cannot read."""
    for setting in all_settings():
        numbers = range(len(declared.secondaries)) if "*" in setting.path else (0,)
        for number in numbers if setting.is_file else ():
            path: Path = tuple(number if part == "*" else part for part in setting.path)
            file = value_at(declared, path) if held_at(declared, path) == path else None
            if isinstance(file, FilePath) and (problem := _problem_of(file)):
                yield Finding(path, f"{file}: {problem}")


def _problem_of(file: FilePath) -> str:
    try:
        with file.open("rb"):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    except ValueError:
        return "not a file name"


def _check_retry(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    for retry, where in _groups(declared, declared.retry, ("retry",), "retry"):
        if retry.delay > retry.delay_limit:
            limit = where("delay_limit")
            yield Finding(where("delay"), f"is longer than {called(limit)}", (limit,))


def _check_filters(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    selection = selection_of(declared.schemas, declared.tables, declared.exclude_tables, declared.state_schema)
    state: tuple[Path, ...] = (("state_schema",),)
    for problem in schema_problems(selection, called):
        yield Finding(("schemas",), problem, state if called(("state_schema",)) in problem else ())
    for name, patterns in (("tables", selection.tables), ("exclude_tables", selection.excluded_tables)):
        for pattern, times in repeated(patterns):
            yield Finding((name,), f"{pattern!r} is named {times} times", is_warning=True)
        yield from _lost(selection, patterns, (name,), called)


def _lost(
    selection: Selection, patterns: tuple[str, ...], path: Path, called: Callable[[Path], str]
) -> Iterator[Finding]:
    for pattern in lost_patterns(selection, patterns):
        text = f"{pattern!r} is in none of the schemas of {called(('schemas',))}"
        yield Finding(path, text, (("schemas",),))


def _check_rules(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    selection = selection_of(declared.schemas, declared.tables, declared.exclude_tables, declared.state_schema)
    for number, rule in enumerate(declared.rules):
        at: Path = ("rules", number)
        if not rule.tables:
            yield Finding((*at, "tables"), "is not set: name the tables of the rule")
        elif not rule.model_fields_set - {"tables"}:
            yield Finding(at, "has no effect: it gives nothing for its tables")
        yield from _lost(selection, rule.tables, (*at, "tables"), called)


def _check_tls(declared: Declarations, called: Callable[[Path], str]) -> Iterator[Finding]:
    groups: list[tuple[TlsGroup, Callable[[str], Path]]] = [
        (declared.primary.tls, lambda name: ("primary", "tls", name)),
        *_groups(declared, declared.secondary_tls, ("secondary_tls",), "tls"),
    ]
    for tls, where in groups:
        if tls.ca is not None and tls.mode not in (None, TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY):
            text = f"is not used, because {called(where('mode'))}={tls.mode} checks no certificate"
            yield Finding(where("ca"), text, is_warning=True)
        if tls.key is not None and tls.cert is None:
            yield Finding(where("key"), f"needs {called(where('cert'))} as well", (where("cert"),))


def _check_http(http: HttpGroup, called: Callable[[Path], str]) -> Iterator[Finding]:
    names = {name: called(("http", name)) for name in ("tls_cert", "tls_key", "token", "client_ca")}
    if (http.tls_cert is None) != (http.tls_key is None):
        missing = "tls_key" if http.tls_key is None else "tls_cert"
        given: Path = ("http", "tls_cert" if missing == "tls_key" else "tls_key")
        yield Finding(("http", missing), "is not set: TLS needs the certificate and its key", (given,))
    if http.client_ca is not None and http.tls_cert is None:
        text = f"needs {names['tls_cert']} and {names['tls_key']}"
        yield Finding(("http", "client_ca"), text, (("http", "tls_cert"),))
    if http.listen is not None and not http.listen.is_local and http.token is None and http.client_ca is None:
        text = (
            f"{http.listen} can be reached from other machines: set {names['token']}_FILE (a file made with "
            f"`(umask 077; openssl rand -hex 32 > http-token)`), or {names['client_ca']} with a certificate, or "
            f"listen on 127.0.0.1:{http.listen.port}"
        )
        yield Finding(("http", "listen"), text, (("http", "token"), ("http", "client_ca")))
