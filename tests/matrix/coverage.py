"""The coverage tables of docs/compatibility.md, from the outcomes of the last full run.

`outcomes.json` keeps the exceptions alone: a table that it does not name came out equal.

`bash tests/run.sh docs` writes the tables into the page, with its other generated parts.
"""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.matrix import events
from tests.matrix.families import FAMILIES, tables_of
from tests.matrix.pairs import PAIRS, RUNS, heads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tests.matrix.pairs import Run
    from tests.matrix.running import Outcome

EXCEPTIONS = Path(__file__).with_name("outcomes.json")
DOCUMENT, PART = Path(__file__).parents[2] / "docs" / "compatibility.md", "coverage"

_EQUAL = "equal"

Outcomes = dict[str, dict[str, str]]
"""By run, by table: `equal`, or `refused at the copy: why`, `refused in the stream: why`."""


def described(outcomes: Mapping[Run, Mapping[str, Outcome]]) -> Outcomes:
    """Return outcomes as they are kept: without what differs from run to run."""
    return {str(run): {name: _words(outcome) for name, outcome in found.items()} for run, found in outcomes.items()}


def _words(outcome: Outcome) -> str:
    if outcome.kind != "refused":
        return outcome.kind
    step, _, reason = outcome.how.partition(": ")
    # Positions, and the names that a run gives to schemas and secondaries.
    reason = re.sub(r",? in the transaction at \S+", "", reason)
    reason = re.sub(r"^(db\d+|t_\w+\.\S+): ", "", re.sub(r"\bdb\d+\b", "the secondary", reason))
    return f"refused {'at the copy' if step == 'copy' else 'in the stream'}: {reason}"


def load_exceptions() -> Outcomes:
    """Return what did not come out equal in the last full run, by every run that it had."""
    exceptions: Outcomes = json.loads(EXCEPTIONS.read_text()) if EXCEPTIONS.exists() else {}
    return exceptions


def load() -> Outcomes:
    """Return the outcome of every table of every kept run."""
    kept = load_exceptions()
    return {
        str(run): dict.fromkeys((t.name for t in tables_of(run.primary)), _EQUAL) | kept[str(run)]
        for run in RUNS
        if str(run) in kept
    }


def save(found: Outcomes) -> None:
    """Keep the exceptions of some runs together with those of the others."""
    exceptions = {
        run: {name: words for name, words in tables.items() if words != _EQUAL} for run, tables in found.items()
    }
    with EXCEPTIONS.open("a+") as record:
        # Several test processes keep exceptions.
        fcntl.flock(record, fcntl.LOCK_EX)
        record.seek(0)
        kept = json.loads(record.read() or "{}")
        record.truncate(0)
        record.write(json.dumps(kept | exceptions, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def table(outcomes: Outcomes) -> str:
    """Return the table as Markdown: a row for each family, a column for each pair, and the reasons below."""
    lines = [f"| values | {' | '.join(heads())} |", f"|---|{'---|' * len(PAIRS)}"]
    reasons: dict[str, int] = {}
    for family in FAMILIES:
        cells = [_cell(outcomes, pair, {t.name for t in family.tables(pair[0])}, reasons) for pair in PAIRS]
        lines.append(f"| {family.name} | {' | '.join(cells)} |")
    lines += ["", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines) + "\n"


def _cell(outcomes: Outcomes, pair: tuple[str, str], names: set[str], reasons: dict[str, int]) -> str:
    if not names:
        return ""
    said = {
        run.engine: _said([outcomes[str(run)][name] for name in names], reasons) for run in RUNS if run.pair == pair
    }
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{engine}: {words}" for engine, words in said.items())


def _said(found: Collection[str], reasons: dict[str, int]) -> str:
    refused = sorted({_general(words) for words in found if words != _EQUAL})
    if not refused:
        return _EQUAL
    numbers = ", ".join(str(reasons.setdefault(words, len(reasons) + 1)) for words in refused)
    return f"{'equal or ' if _EQUAL in found else ''}refused ({numbers})"


def _general(words: str) -> str:
    return re.sub(r"(column )?\b(c\d|k|b|u|m|f|valid): ", "", words)


def tables() -> str:
    """Return both halves: values and events."""
    return f"{table(load())}\n{events.table(events.kept_outcomes(), heads())}"


def differences(found: Outcomes) -> Iterator[str]:
    """Yield where runs came out otherwise than the kept ones."""
    kept = load()
    for run, tables in found.items():
        for name in sorted(tables.keys() | kept.get(run, {}).keys()):
            now, then = tables.get(name), kept.get(run, {}).get(name)
            if now != then:
                yield f"{run} {name}: {now}, and was {then}"
