"""The report: what each way costs beside the others, what must be reached, and the costs of the queries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests.bench.report import machine_text, table_text
from tests.bench.result import summed_up
from tests.bench.verify.load import ALONE, VERIFIED
from tests.bench.verify.ways import CHECKSUM, PT, VERIFY, WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.result import Line
    from tests.bench.verify.record import HashCost, Plan, Record

_MIB = 2**20
_COSTS = ("tables", "way", "seconds", "min-max", "CPU s: primary + secondary", f"times {CHECKSUM}", "times pt",
          "own CPU s", "own MiB", "MB moved", "of the data", "others' CPU")  # fmt: skip
_LOADS = ("load", "contestant", "seconds", "min-max", "written after", "transactions a second",
          "CPU s: primary + secondary", "first round")  # fmt: skip
_HASHES = ("table", "query", "CPU us for a row", f"times {CHECKSUM}", "times pt")
_GOALS = ("work", "what", "must be", "measured", "")
_MOST_CPU, _MOST_CPU_OF_PT, _LEAST_SPEED, _MOST_MOVED, _MOST_LOSS = 2.5, 1.0, 1.5, 0.01, 0.10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must be reached, with the measured value."""

    work: str
    what: str
    wanted: str
    measured: str
    is_met: bool


def as_text(plan: Plan, record: Record) -> str:
    """Return the report in Markdown, without the parts that were not measured."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in _conditions(plan, record).items())]
    lines = _by_work(record)
    costs = [cells for found in lines.values() for cells in _cost_cells(record, found)]
    loads = [cells for found in lines.values() for cells in _load_cells(record, found)]
    hashes = [_hash_cells(record, cost) for cost in record.hashes]
    goals = [(v.work, v.what, v.wanted, v.measured, "met" if v.is_met else "NOT MET") for v in verdicts_of(record)]
    parts += [
        table_text(heads, rows)
        for heads, rows in ((_COSTS, costs), (_LOADS, loads), (_HASHES, hashes), (_GOALS, goals))
        if rows
    ]
    runs = record.book.runs
    failed = [run for run in runs if run.problem]
    parts += [f"FAILED: {run.work} {run.contestant} #{run.pair}: {run.problem}" for run in failed]
    parts += [f"LEFT OUT: {text}" for text in record.book.missing]
    parts.append(f"{len(runs) - len(failed)} runs with equal tables, {len(failed)} failed")
    return "\n\n".join(parts)


def as_json(plan: Plan, record: Record) -> str:
    """Return everything that was measured, the single runs too."""
    moved = {id(run): size for run, size in record.moved.items()}
    return json.dumps(
        {
            "conditions": _conditions(plan, record),
            "sizes": {work: asdict(size) for work, size in record.sizes.items()},
            "runs": [{**asdict(run), "moved_bytes": moved.get(id(run))} for run in record.book.runs],
            "hashes": [{**asdict(cost), "microseconds": cost.microseconds} for cost in record.hashes],
            "goals": [asdict(verdict) for verdict in verdicts_of(record)],
            "left_out": record.book.missing,
        },
        indent=1,
    )


def verdicts_of(record: Record) -> list[Verdict]:
    """Return each goal for which there are measurements."""
    found: list[Verdict] = []
    for work, lines in _by_work(record).items():
        found += _cost_verdicts(record, work, lines)
        if ALONE in lines and VERIFIED in lines:
            loss = 1 - lines[ALONE].seconds / lines[VERIFIED].seconds
            found.append(Verdict(work, "loss of throughput", f"< {_MOST_LOSS:.0%}", f"{loss:.1%}", loss < _MOST_LOSS))
    return found


def _cost_verdicts(record: Record, work: str, lines: dict[str, Line]) -> Iterator[Verdict]:
    if not lines.keys() >= WAYS.keys():
        return
    cpu = {name: _cpu(lines[name]) for name in WAYS}
    for against, most in ((CHECKSUM, _MOST_CPU), (PT, _MOST_CPU_OF_PT)):
        ratio = cpu[VERIFY] / cpu[against]
        what = f"CPU of the servers against {against}"
        yield Verdict(work, what, f"<= {most:.1f}x", f"{ratio:.2f}x", ratio <= most)
    speed = lines[PT].seconds / lines[VERIFY].seconds
    yield Verdict(work, f"speed against {PT}", f">= {_LEAST_SPEED}x", f"{speed:.2f}x", speed >= _LEAST_SPEED)
    share = record.moved_bytes(work, VERIFY) / record.sizes[work].size_bytes
    yield Verdict(work, "bytes moved, of the data", f"< {_MOST_MOVED:.0%}", f"{share:.3%}", share < _MOST_MOVED)


def _conditions(plan: Plan, record: Record) -> dict[str, str]:
    book = record.book
    return {
        "machine": machine_text(),
        "servers": ", ".join(map(str, plan.binaries)),
        **{f"settings of {name}": text for name, text in book.settings.items()},
        "rounds": f"{plan.rounds} of each way, in turn" + (f"; sizes / {plan.divisor}" * (plan.divisor > 1)),
        **book.facts,
    }


def _by_work(record: Record) -> dict[str, dict[str, Line]]:
    found: dict[str, dict[str, Line]] = {}
    for line in summed_up(record.book.runs):
        found.setdefault(line.work, {})[line.contestant] = line
    return found


def _cpu(line: Line) -> float:
    return line.primary_cpu_seconds + line.secondary_cpu_seconds


def _cost_cells(record: Record, lines: dict[str, Line]) -> Iterator[tuple[str, ...]]:
    for name in (name for name in WAYS if name in lines):
        line = lines[name]
        moved = record.moved_bytes(line.work, name)
        yield (
            line.work, name, f"{line.seconds:.2f}", f"{line.fastest:.2f}-{line.slowest:.2f}",
            f"{line.primary_cpu_seconds:.2f} + {line.secondary_cpu_seconds:.2f}",
            *(f"{_cpu(line) / _cpu(lines[other]):.2f}" if other in lines else "" for other in (CHECKSUM, PT)),
            f"{line.supervisor_cpu_seconds:.2f}" if line.supervisor_peak_bytes else "",
            f"{line.supervisor_peak_bytes / _MIB:.0f}" if line.supervisor_peak_bytes else "",
            f"{moved / 1e6:.2f}", f"{moved / record.sizes[line.work].size_bytes:.3%}", f"{line.others_share:.0%}",
        )  # fmt: skip


def _load_cells(record: Record, lines: dict[str, Line]) -> Iterator[tuple[str, ...]]:
    for name in (name for name in (ALONE, VERIFIED) if name in lines):
        line = lines[name]
        written = f"{line.streaming_seconds:.2f}" if line.streaming_seconds is not None else ""
        yield (
            line.work, name, f"{line.seconds:.2f}", f"{line.fastest:.2f}-{line.slowest:.2f}", written,
            f"{record.transactions[line.work] / line.seconds:.0f}",
            f"{line.primary_cpu_seconds:.2f} + {line.secondary_cpu_seconds:.2f}", line.note,
        )  # fmt: skip


def _hash_cells(record: Record, cost: HashCost) -> tuple[str, ...]:
    others = {other.query: other for other in record.hashes if other.work == cost.work}
    ratios = (f"{cost.microseconds / max(others[name].microseconds, 0.001):.2f}" for name in (CHECKSUM, PT))
    return (cost.work, cost.query, f"{cost.microseconds:.2f}", *ratios)
