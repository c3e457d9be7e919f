"""The report: tables for people and for docs/performance.md, or one JSON document."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.bars import judged
from tests.bench.result import summed_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.plan import Book, Plan
    from tests.bench.result import Line

_MIB = 2**20


def as_text(plan: Plan, book: Book) -> str:
    """Return the report in Markdown."""
    lines = summed_up(book.runs)
    verdicts = judged(lines)
    parts = ["\n".join(f"- {name}: {value}" for name, value in _conditions(plan, book).items())]
    heads = ("work", "durability", "contestant", "median s", "min-max s", "without start", "our CPU s: worker + rest",
             "CPU s: secondary", "primary", "others' CPU", "our MiB: worker", "rest", "p50 / p99 ms")  # fmt: skip
    parts.append(table_text(heads, map(_cells, lines)))
    parts.append(
        table_text(
            ("work", "durability", "contestant", "against", "must reach", "measured", ""),
            (
                (v.work, v.durability, v.contestant, v.against, v.wanted, v.measured, "met" if v.is_met else "NOT MET")
                for v in verdicts
            ),
        )
    )
    failed = [run for run in book.runs if run.problem]
    parts += [f"FAILED: {r.work} {r.durability} {r.contestant} #{r.pair}: {r.problem}" for r in failed]
    parts += [f"LEFT OUT: {text}" for text in book.missing]
    finished = sum(1 for run in book.runs if not run.problem)
    parts.append(f"{finished} runs with equal tables, {len(failed)} failed")
    return "\n\n".join(parts)


def as_json(plan: Plan, book: Book) -> str:
    """Return everything, the single runs too; delays of single probes are summed up in `lines`."""
    lines = summed_up(book.runs)
    runs = [asdict(run) for run in book.runs]
    for run in runs:
        if run["timing"] is not None:
            run["timing"]["delays_ms"] = len(run["timing"]["delays_ms"])
    return json.dumps(
        {
            "conditions": _conditions(plan, book),
            "lines": [asdict(line) for line in lines],
            "bars": [asdict(verdict) for verdict in judged(lines)],
            "runs": runs,
            "left_out": book.missing,
        },
        indent=1,
    )


def _conditions(plan: Plan, book: Book) -> dict[str, str]:
    log = "with a binary log of what they apply" if plan.has_secondary_log else "without a binary log"
    return {
        "machine": machine_text(),
        "versions": f"Python {platform.python_version()}, PyMySQL {version('PyMySQL')}, "
        f"mysql-replication {version('mysql-replication')}; servers {', '.join(book.settings) or 'none'}",
        "secondaries": log,
        "durability": "safe: innodb_flush_log_at_trx_commit=1 sync_binlog=1; fast: 2 and 0",
        **{f"settings of {name}": text for name, text in book.settings.items()},
        "runs": f"{plan.pairs} of each contestant, in turn" + (f"; sizes / {plan.divisor}" * (plan.divisor > 1)),
        **book.facts,
    }


def machine_text() -> str:
    """Return what the benchmark runs on."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({model[1] if model else platform.machine()}), {memory:.0f} GiB, Linux {platform.release()}"


def _cells(line: Line) -> tuple[str, ...]:
    has_cost = bool(line.supervisor_peak_bytes)
    shown = line.contestant + (f" ({line.note})" if line.note else "")
    delays = f"{line.p50_ms:.1f} / {line.p99_ms:.1f}" if line.p50_ms is not None and line.p99_ms is not None else ""
    return (
        line.work,
        line.durability,
        shown,
        "" if delays else f"{line.seconds:.2f}",
        "" if delays else f"{line.fastest:.2f}-{line.slowest:.2f}",
        f"{line.streaming_seconds:.2f}" if line.streaming_seconds is not None and not delays else "",
        f"{line.worker_cpu_seconds:.2f} + {line.supervisor_cpu_seconds:.2f}" if has_cost else "",
        f"{line.secondary_cpu_seconds:.1f}",
        f"{line.primary_cpu_seconds:.1f}",
        f"{line.others_share:.0%}",
        f"{line.worker_peak_bytes / _MIB:.0f}" if has_cost and line.worker_peak_bytes else "",
        f"{line.supervisor_peak_bytes / _MIB:.0f}" if has_cost else "",
        delays,
    )


def table_text(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    text = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in text)
