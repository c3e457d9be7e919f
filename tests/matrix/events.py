"""The events of a binary log and their outcomes: the events' half of the coverage tables of docs/compatibility.md.

A test says what it covers: `@pytest.mark.covers("LOAD DATA in row format")`. Where the event is refused, it asks for
it by the fixture `refused`. A run with REPLICA_TEST_WRITE_COVERAGE=1 keeps the outcomes, any other compares its own.

`events.json` keeps for each event the tests and the exceptions alone: a run that it does not name applied the event.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from tests.matrix.pairs import PAIRS, RUNS, engines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RECORD = Path(__file__).with_name("events.json")
EVENTS = (
    "compressed events (MariaDB)",
    "TRANSACTION_PAYLOAD (MySQL)",
    "row images MINIMAL and NOBLOB",
    "row images without the secondary's key",
    "partial JSON (MySQL)",
    "several table maps in a statement",
    "rows above 16 MB, values of 64 MB",
    "transactions and logs above 4 GB",
    "checksums CRC32, NONE, and a change",
    "a bad checksum",
    "rotation, STOP, table ids used again",
    "heartbeats",
    "annotations of rows",
    "GTIDs of several domains (MariaDB)",
    "GTIDs with a tag (MySQL)",
    "end_log_pos 0 (MariaDB 11.4 and later)",
    "COMMIT as a query, savepoints, engines without transactions",
    "XA PREPARE, COMMIT, ROLLBACK",
    "XA prepared before the position",
    "sequences: NEXTVAL, SETVAL (MariaDB)",
    "system-versioned tables: row versions, DELETE HISTORY, ADD and DROP (MariaDB)",
    "CREATE TABLE … SELECT",
    "CREATE OR REPLACE TABLE … SELECT (MariaDB)",
    "LOAD DATA in row format",
    "TRUNCATE, DROP and RENAME of several tables",
    "foreign keys that cascade",
    "rows written without checks",
    "rows that break a CHECK (MariaDB)",
    "ALTER in two phases (MariaDB)",
    "instant DDL",
    "DDL with quoted, commented and cross-schema names",
    "the session's context of a DDL",
    "DDL whose result depends on the server",
    "online schema changes (gh-ost, pt-osc)",
    "DDL of other objects",
    "DML in statement format",
    "LOAD DATA in statement format",
    "statement format: rows changed through views, triggers and functions",
    "CREATE TABLE … SELECT in statement format",
    "temporary tables that hide others",
    "DDL in a rolled-back group (MariaDB)",
    "engines that keep no rows of their own",
    "INCIDENT",
    "unknown events, partial row data (172)",
    "encrypted and truncated events",
)

_APPLIED = "applied"

Outcomes = dict[str, dict[str, str]]
"""By event, by run: `applied`, or `refused: why`."""


class _Kept(TypedDict):
    """What is kept of an event: the tests that cover it, by run why it was refused, and the runs without a test."""

    tests: list[str]
    refused: NotRequired[dict[str, str]]
    untried: NotRequired[list[str]]


def _load() -> dict[str, _Kept]:
    kept: dict[str, _Kept] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    return kept


def kept_outcomes() -> Outcomes:
    """Return the outcomes of the last full run."""
    return {event: _outcomes(event, kept) for event, kept in _load().items()}


def _outcomes(event: str, kept: _Kept) -> dict[str, str]:
    refused, untried = kept.get("refused", {}), kept.get("untried", [])
    tried = [run for run in _logging_runs(event) if run not in untried]
    return {run: f"refused: {refused[run]}" if run in refused else _APPLIED for run in tried}


def _exceptions(event: str, tests: list[str], outcomes: Mapping[str, str]) -> _Kept:
    kept = _Kept(tests=tests)
    if refused := {run: words.removeprefix("refused: ") for run, words in outcomes.items() if words != _APPLIED}:
        kept["refused"] = dict(sorted(refused.items()))
    if untried := sorted(run for run in _logging_runs(event) if run not in outcomes):
        kept["untried"] = untried
    return kept


def kept_tests() -> dict[str, list[str]]:
    """Return the tests that cover each event, as `path::name`."""
    return {event: kept["tests"] for event, kept in _load().items()}


def _logging_runs(event: str) -> list[str]:
    return [str(run) for run in RUNS if is_logged_by(event, run.primary)]


def runs_of(event: str, primary: str | None, secondary: str | None, engine: str | None) -> Iterator[str]:
    """Yield the runs that a test speaks for: those of its pair and engine, or all where it has none of its own."""
    for run in RUNS:
        if not is_logged_by(event, run.primary):
            continue
        if primary in {None, run.primary} and secondary in {None, run.secondary} and engine in {None, run.engine}:
            yield str(run)


def is_logged_by(event: str, primary: str) -> bool:
    """Return True if a primary of this kind can log an event."""
    if "MariaDB 11.4" in event:
        return primary == "mariadb:11.8"
    return not (
        ("(MariaDB" in event and primary.startswith("mysql")) or ("(MySQL" in event and not primary.startswith("mysql"))
    )


def merged(cells: Iterable[tuple[str, str, str]]) -> Outcomes:
    """Return outcomes by event and run; a refusal says more than that all else was applied."""
    found: Outcomes = {}
    for event, run, words in cells:
        of_event = found.setdefault(event, {})
        if of_event.get(run, _APPLIED) == _APPLIED:
            of_event[run] = words
    return found


def save(found: Outcomes, tests: Mapping[str, Iterable[str]]) -> None:
    """Keep the outcomes of this run, and those of the servers that it did not cover."""
    kept, covering = kept_outcomes(), kept_tests()
    record = {
        event: _exceptions(
            event,
            sorted({*covering.get(event, ()), *tests.get(event, ())}),
            kept.get(event, {}) | found.get(event, {}),
        )
        for event in EVENTS
        if event in kept or event in found
    }
    RECORD.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def differences(found: Outcomes) -> Iterator[str]:
    """Yield where events came out otherwise than the kept ones."""
    kept = kept_outcomes()
    for event, runs in found.items():
        for run, now in runs.items():
            then = kept.get(event, {}).get(run)
            if now != then:
                yield f"{event}, {run}: {now}, and was {then}"


def table(outcomes: Outcomes, heads: Iterable[str]) -> str:
    """Return the table as Markdown: a row for each event, a column for each pair, and the reasons below."""
    heads = list(heads)
    lines = [f"| events | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    reasons: dict[str, int] = {}
    for event in EVENTS:
        cells = [_cell(outcomes.get(event, {}), pair, reasons) for pair in PAIRS]
        lines.append(f"| {event} | {' | '.join(cells)} |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines) + "\n"


def _cell(outcomes: Mapping[str, str], pair: tuple[str, str], reasons: dict[str, int]) -> str:
    found = {engine: outcomes.get(f"{pair[0]}→{pair[1]} {engine}") for engine in engines(pair)}
    words = {engine: _words(outcome, reasons) for engine, outcome in found.items() if outcome}
    if len(set(words.values())) <= 1:
        return next(iter(words.values()), "")
    return ", ".join(f"{engine}: {said}" for engine, said in words.items())


def _words(outcome: str, reasons: dict[str, int]) -> str:
    kind, _, reason = outcome.partition(": ")
    return f"{kind} ({reasons.setdefault(reason, len(reasons) + 1)})" if reason else kind
