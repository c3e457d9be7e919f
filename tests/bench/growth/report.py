"""The report of the growth benchmark: a table for each series and one of the rules, or one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.bench.growth.series import COLUMNS, judged
from tests.bench.report import machine_text, table_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.growth.pair import Plan
    from tests.bench.growth.series import Series, Verdict


def verdicts_of(series: Sequence[Series]) -> list[Verdict]:
    """Return what the rules of all series say."""
    return [verdict for one in series for verdict in judged(one)]


def as_text(plan: Plan, series: Sequence[Series]) -> str:
    """Return the report in Markdown."""
    verdicts = verdicts_of(series)
    parts = ["\n".join(f"- {name}: {value}" for name, value in _conditions(plan).items())]
    parts += [f"### {one.part}: {one.name}\n\n{_samples(one)}" for one in series]
    heads = ("part", "series", "what", "must be", "measured", "")
    rows = [
        (v.part, v.series, v.what, v.wanted, v.measured, "met" if v.is_met else "**NOT MET**")
        for v in sorted(verdicts, key=lambda v: v.is_met)
    ]
    parts.append("### Rules\n\n" + table_text(heads, rows))
    parts.append(f"{sum(v.is_met for v in verdicts)} rules met, {sum(not v.is_met for v in verdicts)} not met")
    return "\n\n".join(parts)


def as_json(plan: Plan, series: Sequence[Series]) -> str:
    """Return everything that was counted, also what the tables leave out."""
    document = {
        "conditions": _conditions(plan),
        "series": [
            {"part": s.part, "name": s.name, "axis": s.axis, "samples": [asdict(sample) for sample in s.samples]}
            for s in series
        ],
        "rules": [asdict(verdict) for verdict in verdicts_of(series)],
    }
    return json.dumps(document, indent=1)


def _conditions(plan: Plan) -> dict[str, str]:
    return {
        "machine": machine_text(),
        "server": str(plan.binary),
        "sizes": "small" if plan.is_small else "full",
        "a command is ended after": f"{plan.patience_seconds:.0f} s",
    }


def _samples(series: Series) -> str:
    shown = [name for name in COLUMNS if any(name in sample.values for sample in series.samples)]
    rows = []
    for sample in series.samples:
        cells = [f"{sample.values[name]:.{COLUMNS[name].digits}f}" if name in sample.values else "" for name in shown]
        note = sample.problem.replace("\n", " ")[:200]
        rows.append((f"{sample.size:,}", *cells, *([note] if _has_problem(series) else [])))
    heads = (series.axis, *(COLUMNS[name].head for name in shown), *(["problem"] if _has_problem(series) else []))
    return table_text(heads, rows)


def _has_problem(series: Series) -> bool:
    return any(sample.problem for sample in series.samples)
