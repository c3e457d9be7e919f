"""What has to be true after a round: caught up, equal, at the right position, nothing lost, nothing applied twice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError
from replica_cli.sandbox.compare import compare
from tests.torture import proving
from tests.torture.boundary import is_followed_by_nothing, why_no_boundary
from tests.torture.command import tail
from tests.torture.tables import SCHEMA, SCHEMAS, STATE_SCHEMA
from tests.torture.waiting import Failed, pause

if TYPE_CHECKING:
    from tests.torture.arena import Arena
    from tests.torture.site import Site

_CATCH_UP_SECONDS = 150.0
_BEAT = "INSERT INTO beat VALUES (1, 1) ON DUPLICATE KEY UPDATE n = n + 1"


@dataclass(slots=True)
class Verdict:
    """What was found wrong with a round; `lost` and `doubled` count transactions, on all secondaries together."""

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)


def settle(arena: Arena) -> None:
    """Wait, the writer being stopped, until all of it is applied. Raises Failed."""
    arena.on_primary("CREATE TABLE IF NOT EXISTS beat (id INT PRIMARY KEY, n BIGINT NOT NULL)")
    deadline = time.monotonic() + _CATCH_UP_SECONDS
    waiting = list(arena.sites)
    while waiting:
        # A replay window closes after its end: a transaction has to come after it.
        arena.on_primary(_BEAT)
        end = arena.primary_end()
        again = time.monotonic() + 2
        while waiting and time.monotonic() < again:
            waiting = [site for site in waiting if not _is_there(site, end)]
            pause(0.05)
        if waiting and time.monotonic() > deadline:
            raise Failed("; ".join(_standstill(site, end) for site in waiting))


def verify(arena: Arena) -> Verdict:
    """Compare everything with the primary, at rest. Raises ServerError for a server that does not answer."""
    verdict = Verdict()
    for site in arena.sites:
        verdict.problems += [
            f"{site}: {table} is {state}: {reason}{site.said_of(table)}" for table, state, reason in site.noted()
        ]
        intents = site.rows(f"SELECT statement FROM {STATE_SCHEMA}.ddl_intent WHERE instance = '{site.name}'")
        verdict.problems += [f"{site}: left half done: {statement}" for (statement,) in intents]
        verdict.problems += check_place(arena, site, must_be_end=True)
        _count_ledger(arena, site, verdict)
        different = [
            r
            for schema in SCHEMAS
            for r in compare(arena.primary.address(), site.server.address(), schema)
            if not r.is_equal
        ]
        verdict.problems += [
            f"{site}: {r.schema}.{r.table} differs, {r.rows_a} rows on the primary, {r.rows_b} here\n{r.detail}"
            + site.said_of(r.table)
            for r in different
        ]
        verdict.problems += proving.disagreements(site, {f"{r.schema}.{r.table}" for r in different})
    return verdict


def check_place(arena: Arena, site: Site, *, must_be_end: bool = False) -> list[str]:
    """Return what is wrong with the position row."""
    file, pos, gtid = site.saved()
    if not file:
        return [f"{site}: no position is saved"] if must_be_end else []
    problems = []
    if why := why_no_boundary(arena.primary.data_path / file, pos):
        problems.append(f"{site}: the saved position is no transaction boundary: {why}")
    if must_be_end:
        end = arena.primary_end()
        path = arena.primary.data_path / file
        # MariaDB writes a checkpoint when it likes to.
        if (file, pos) != end and not (file == end[0] and path.is_file() and is_followed_by_nothing(path, pos)):
            problems.append(f"{site}: {file}:{pos} is saved, and the primary's end is {end[0]}:{end[1]}")
        problems += _check_gtids(arena, site, gtid)
    return problems


def _check_gtids(arena: Arena, site: Site, gtid: str) -> list[str]:
    with arena.primary.session() as session:
        if session.is_mariadb:
            row = session.row("SELECT @@GLOBAL.gtid_binlog_pos")
            is_same = row is not None and sorted(str(row[0]).split(",")) == sorted(gtid.split(","))
        else:
            row = session.row("SELECT @@GLOBAL.gtid_executed")
            end = str(row[0]) if row else ""
            both = session.row("SELECT GTID_SUBSET(%s, %s) AND GTID_SUBSET(%s, %s)", gtid, end, end, gtid)
            is_same = bool(both and both[0])
    return [] if is_same else [f"{site}: GTID set {gtid} is saved, and the primary's is {row and row[0]}"]


def _count_ledger(arena: Arena, site: Site, verdict: Verdict) -> None:
    def numbers(rows: list[tuple[object, ...]]) -> Counter[int]:
        return Counter(int(str(number)) for (number,) in rows)

    sql = f"SELECT number FROM {SCHEMA}.ledger"
    with arena.primary.session() as session:
        on_primary = numbers(session.rows(sql))
    try:
        on_secondary = numbers(site.rows(sql))
    except ServerError as error:
        verdict.problems.append(f"{site}: the ledger cannot be read: {error.message}")
        return
    lost, doubled = on_primary - on_secondary, on_secondary - on_primary
    verdict.lost += lost.total()
    verdict.doubled += doubled.total()
    if lost:
        verdict.problems.append(f"{site}: {lost.total()} transactions lost, such as {sorted(lost)[:5]}")
    if doubled:
        verdict.problems.append(f"{site}: {doubled.total()} applied twice, such as {sorted(doubled)[:5]}")


def _is_there(site: Site, end: tuple[str, int]) -> bool:
    site.start_stream()
    noted = site.noted()
    if any(state == "quarantined" for _, state, _ in noted):
        # Reported by `verify`; all others must have come.
        noted = [n for n in noted if n[1] != "quarantined"]
    return site.saved()[:2] >= end and not noted


def _standstill(site: Site, end: tuple[str, int]) -> str:
    file, pos, _ = site.saved()
    text = tail(site.stream.text) if site.stream else ""
    place = f"{file}:{pos} of {end[0]}:{end[1]}"
    return f"{site}: not caught up after {_CATCH_UP_SECONDS:.0f} s: {place}, {site.noted()}\n{text}"
