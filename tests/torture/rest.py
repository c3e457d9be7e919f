"""Runs the commands when everything is applied: all must be in order, and a lost position must be reported."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import time
from typing import TYPE_CHECKING, Any

from replica_cli.core.reports.health import HealthLevel
from tests.torture.claims import last_phase, not_at_rest
from tests.torture.command import tail
from tests.torture.waiting import Failed, pause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.torture.command import Command
    from tests.torture.kinds import Kind
    from tests.torture.site import Site

_REST_SECONDS = 20.0
_ASK_SECONDS = 60.0
_NAMED_TABLES = 5  # `health` lists as many
# A stream's health monitor checks every half minute: until then it reports, with its age, that a server was down.
_OF_THE_WATCH = "`health` at rest, critical: stream-watch: the stream's own last check"
# `health` reports the deaths of workers for ten minutes: a warning, and critical if there are three.
_DEATH = re.compile(
    r"`health` at rest, \w+: stream-alive: .+ is caught up; before it, the worker process died (\d+) time"
)
_OUTAGES = ("primary-connection: ", "secondary-connection: ")


def check_rest(sites: Sequence[Site]) -> list[str]:
    """Return what the answers say at rest that is not so, after some patience: a heartbeat comes once a second."""
    deadline = time.monotonic() + _REST_SECONDS
    while True:
        asked = [(site, _begin(site, "health"), _begin(site, "position", "show")) for site in sites]
        wrong = [f"{site}: {each}" for site, *commands in asked for each in _wrong_at_rest(site, *commands)]
        if not wrong or time.monotonic() > deadline:
            return wrong
        pause(0.5)


def copy_refused_tables(site: Site, kinds: Sequence[Kind]) -> list[str]:
    """Copy the tables that were quarantined for a documented reason, by the command that `health` advises.

    Return the tables, empty if none is quarantined, or one for a reason that no kind explains: see `verify`.
    Raises Failed if `health` does not name each of them with such a command.
    """
    refused = [(table, reason) for table, state, reason in site.noted() if state == "quarantined"]
    if not refused or not all(any(kind.explains(table, reason) for kind in kinds) for table, reason in refused):
        return []
    _, document = _answer(site, _begin(site, "health"))
    (check,) = (c for c in document["checks"] if c["name"] == "quarantined-tables")
    advised = re.search(r"`replica (transfer [^`]+)`", check["hint"] or "")
    unnamed = [table for table, _ in refused[:_NAMED_TABLES] if f".{table}" not in check["message"]]
    if unnamed or not advised:
        raise Failed(f"{site}: {refused} are quarantined, and `health` says {check['message']} ({check['hint']})")
    site.run(*shlex.split(advised[1]), "--yes")
    return [table for table, _ in refused]


def check_that_loss_is_told(site: Site) -> None:
    """Raise Failed unless `health` says that the position is lost and that the stream failed of it."""
    _check_told(site, "the position is lost", ("position", "stream-alive"), HealthLevel.CRITICAL)


def check_that_end_is_told(site: Site) -> None:
    """Raise Failed unless `health` says that the stream has stopped."""
    _check_told(site, "the stream was stopped", ("stream-alive",), HealthLevel.CRITICAL)


def check_that_death_is_told(site: Site) -> None:
    """Raise Failed unless `health` says that a worker of the live stream died just before."""
    _check_told(site, "a worker was killed", ("stream-alive",), HealthLevel.WARNING)


def check_that_silence_is_told(site: Site) -> None:
    """Raise Failed unless `health`, ten seconds after a kill, says that there is no sign of the stream."""
    _check_told(site, "the stream was killed", ("stream-alive",), HealthLevel.WARNING)


def _check_told(site: Site, what: str, names: tuple[str, ...], least: HealthLevel) -> None:
    code, document = _answer(site, _begin(site, "health"))
    levels = {check["name"]: check["level"] for check in document["checks"]}
    if code < least or any(levels.get(name, 0) < least for name in names):
        told = "; ".join(f"{c['name']}: {c['message']}" for c in document["checks"] if c["name"] in names)
        raise Failed(f"{site}: {what}, and `health` exits {code} and says {told or 'nothing about it'}")


def _wrong_at_rest(site: Site, health_command: Command, positions_command: Command) -> list[str]:
    code, health = _answer(site, health_command)
    _, positions = _answer(site, positions_command)
    stream = site.stream
    found = [wrong for wrong in not_at_rest(health, positions, site.name) if not _is_old(wrong, stream)]
    if code != health["level"]:
        found.append(f"`health` at rest exits {code} and says level {health['level']}")
    phase = last_phase(stream.text.splitlines(), site.name) if stream else ""
    if phase != "caught up":
        found.append(f"the log at rest says {phase or 'no phase'} last")
    return found


def _is_old(wrong: str, stream: Command | None) -> bool:
    """Return True for what `health` reports of a while ago: a server that was down, a worker that was killed."""
    deaths = _DEATH.match(wrong)
    if stream is not None and deaths and int(deaths[1]) <= stream.worker_kills:
        return True
    if not wrong.startswith(_OF_THE_WATCH):
        return False
    _, _, findings = wrong.removeprefix(_OF_THE_WATCH).partition(": ")
    return all(finding.startswith(_OUTAGES) for finding in findings.split("; "))


def _begin(site: Site, *words: str) -> Command:
    return site.command(*words, "--secondary", site.name, "--json")


def _answer(site: Site, command: Command) -> tuple[int, dict[str, Any]]:
    code, text = command.wait(_ASK_SECONDS), command.text
    document = None
    if code in set(HealthLevel):
        with contextlib.suppress(ValueError):
            # What goes to stderr shares the file.
            document, _ = json.JSONDecoder().raw_decode(text, text.index("{\n"))
    if not isinstance(document, dict):
        raise Failed(f"{site}: `replica {' '.join(command.words)}` exited {code}:\n{tail(text)}")
    return code, document
