"""The printed report: a line for each round, and the table at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.torture.faults import FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.torture.rounds import Round


@dataclass(slots=True)
class Totals:
    """Sums over the rounds of a run on one server's version."""

    server: str
    rounds: int = 0
    failures: int = 0
    lost: int = 0
    doubled: int = 0
    transactions: int = 0
    rows: int = 0
    definitions: int = 0
    rollbacks: int = 0
    questions: int = 0
    refused: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, done: Round) -> None:
        """Count a round in."""
        self.rounds += 1
        self.failures += not done.is_good
        self.lost += done.verdict.lost
        self.doubled += done.verdict.doubled
        self.transactions += done.counts.transactions
        self.rows += done.counts.rows
        self.definitions += done.counts.definitions
        self.rollbacks += done.counts.rollbacks
        self.questions += done.questions
        self.refused += done.refused
        self.seconds += done.seconds
        self.kinds.update(done.kinds)


def line_of(done: Round, server: str) -> str:
    """Return a round's line."""
    verdict = "ok" if done.is_good else f"FAILED: {len(done.verdict.problems)} problem(s)"
    counts = done.counts
    return (
        f"round {done.number:3} {server}  {', '.join(done.faults) or 'no fault'}  {done.seconds:.1f} s,"
        f" {counts.rows} rows in {counts.transactions} transactions, asked {done.questions} times,"
        f" at rest {done.catch_up_seconds:.1f} s  {verdict}"
    )


def table_of(totals: list[Totals]) -> str:
    """Return the table at the end, one column a server."""
    rows: list[tuple[str, Sequence[object]]] = [
        ("", [t.server for t in totals]),
        *((name, [getattr(t, name) for t in totals]) for name in (
            "rounds", "failures", "lost", "doubled", "transactions", "rows", "definitions", "rollbacks",
            "questions", "refused",
        )),
        ("minutes", [f"{t.seconds / 60:.1f}" for t in totals]),
        *((f"  {f.name}", [t.kinds[f.name] for t in totals]) for f in FAULTS),
    ]  # fmt: skip
    return "\n".join(f"{name:30}" + "".join(f"{value!s:>18}" for value in values) for name, values in rows)
