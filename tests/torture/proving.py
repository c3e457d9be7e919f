"""`replica verify run` beside the harness: while faults happen it may invent nothing, and at rest both must agree."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

from tests.torture.command import tail
from tests.torture.tables import CHANGED_BEHIND, SCHEMA
from tests.torture.waiting import Failed, pause

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tests.torture.command import Command
    from tests.torture.site import Site

_EQUAL, _NOT_DECIDED, _DIFFERENT, _LOCKED = 0, 1, 3, 15
_REST_SECONDS = 120.0
_LOCK_ATTEMPTS = 60
# How a run may end while servers die, and the log is purged or reset: not equal to anything, but not different either.
_MAY_END_WITH = frozenset({_EQUAL, _NOT_DECIDED, _DIFFERENT, 11, 12, 13, _LOCKED, -signal.SIGKILL})
_END_SECONDS = 20.0


def begin(site: Site) -> None:
    """Start a run that the faults of a round may hit."""
    site.proving = site.command("verify", "run", "--restart", "--json", "--secondary", site.name)


def end(site: Site) -> list[str]:
    """End the run of a round, if it has not ended, and return what it said that was not so.

    The tables that faults change on the secondary alone may differ.
    """
    proving, site.proving = site.proving, None
    if proving is None:
        return []
    if proving.is_running:
        pause(1)
    if proving.is_running:
        proving.kill_all()
    code = proving.wait(_END_SECONDS)
    problems = [f"{site}: `verify` names a row that is equal: {line}" for line in _invented(proving)]
    if code not in _MAY_END_WITH:
        problems.append(f"{site}: `verify` exited {code}:\n{tail(proving.text)}")
    return problems


def disagreements(site: Site, different: Collection[str]) -> list[str]:
    """Run `verify` at rest, and return in what it does not agree with the harness.

    Args:
        site: the secondary.
        different: the tables that differ according to the harness, with their schemas.
    """
    command = run(site)
    tables = _summary(command)
    if tables is None:
        return [f"{site}: `verify` at rest exited {command.code}:\n{tail(command.text)}"]
    found = {t["table"] for t in tables if t["missing"] or t["extra"] or t["differs"]}
    problems = [
        f"{site}: {name} differs, and `verify` says that it is equal" for name in sorted(set(different) - found)
    ]
    lines = [line for line in _differences(command) if line["table"] not in different]
    problems += [f"{site}: `verify` names a row that is equal: {line}" for line in lines[:5]]
    problems += [
        f"{site}: {t['table']} is not decided at rest: {t['undecided']}"
        for t in tables
        if t["undecided"] and not t["undecided"].startswith("a sequence")
    ]
    return problems


def run(site: Site, *tables: str) -> Command:
    """Run `verify` for some tables, all without names, to its end. Another run may have to end first."""
    words = [word for name in tables for word in ("--table", f"{SCHEMA}.{name}")]
    for _ in range(_LOCK_ATTEMPTS):
        command = site.command("verify", "run", "--restart", "--json", "--secondary", site.name, *words)
        if command.wait(_REST_SECONDS) != _LOCKED:
            return command
        pause(0.5)
    raise Failed(f"{site}: `verify` finds another one for a long time:\n{tail(command.text)}")


def _invented(command: Command) -> list[str]:
    return [str(line) for line in _differences(command) if line["table"] not in CHANGED_BEHIND][:5]


def _differences(command: Command) -> list[dict[str, Any]]:
    return [line for line in _lines(command) if line["type"] == "difference"]


def _summary(command: Command) -> list[dict[str, Any]] | None:
    """Return what a run says of the tables, None if it ended with an error."""
    for line in _lines(command):
        if line["type"] == "summary" and not line["secondaries"][0]["error"]:
            return list(line["secondaries"][0]["tables"])
    return None


def _lines(command: Command) -> Sequence[dict[str, Any]]:
    found = []
    for text in command.text.splitlines():
        if text.startswith('{"type"'):
            try:
                found.append(json.loads(text))
            except ValueError:
                continue  # killed while it wrote
    return found
