"""Builds one HTML page with the result of `replica verify run`: it needs no other file."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from replica_cli.cli.output import units
from replica_cli.cli.output.verify_text import verdict_word
from replica_cli.core.printable import printable
from replica_cli.core.verification import shown_key
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from replica_cli.core.reports.verify import ProofReport, VerifyReport

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
:root { color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.equal { color: #1a7f37; } .differs { color: #c22; } .undecided { color: #b07000; }
"""


def verify_page(reports: Sequence[VerifyReport], proofs: Sequence[ProofReport], primary: str, made_at: datetime) -> str:
    """Return the page.

    Args:
        reports: what the run found on each secondary.
        proofs: the rows that differ on each secondary.
        primary: the name of the primary.
        made_at: the time of the page.
    """
    rows = {p.instance: p for p in proofs}
    parts = [f"<h1>replica verify against {_text(primary)}</h1><p>{made_at:%Y-%m-%d %H:%M:%S} UTC</p>"]
    for report in reports:
        parts.append(_secondary(report))
        if (known := rows.get(report.instance)) is not None and known.differences:
            parts.append(_differences(known))
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>replica verify</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _secondary(report: VerifyReport) -> str:
    lines = []
    for v in report.tables:
        word = "not compared" if report.is_count_only and v.is_equal else verdict_word(v)
        counts = "".join(f'<td class="n">{count:,}</td>' for count in (v.rows, v.missing, v.extra, v.differs))
        position = _text(units.position_text(v.position))
        lines.append(
            f'<tr><td>{_text(str(v.table))}</td><td class="{verdict_word(v)}">{word}</td>{counts}'
            f"<td>{position}</td><td>{_text(v.undecided)}</td></tr>"
        )
    failure = f'<p class="differs">{_text(report.failure.message)}</p>' if report.failure else ""
    numbers = "".join(f'<th class="n">{name}</th>' for name in ("rows", "missing", "extra", "differs"))
    heads = f"<th>table</th><th>verdict</th>{numbers}<th>proven at</th><th></th>"
    return f"<h2>{_text(report.instance)}</h2>{failure}<table><tr>{heads}</tr>{''.join(lines)}</table>"


def _differences(proof: ProofReport) -> str:
    lines = [
        f'<tr><td>{_text(str(d.table))}</td><td class="differs">{d.kind}</td><td>{_text(shown_key(d))}</td>'
        f"<td>{_text(', '.join(d.columns))}</td><td>{_text(units.position_text(d.position))}</td></tr>"
        for d in proof.differences
    ]
    heads = "".join(f"<th>{name}</th>" for name in ("table", "kind", "row", "columns", "seen at"))
    hidden = proof.difference_count - sum(d.count for d in proof.differences)
    more = f"<p>and {hidden} more rows: <code>replica verify show</code></p>" if hidden > 0 else ""
    return f"<table><tr>{heads}</tr>{''.join(lines)}</table>{more}"


def _text(text: str) -> str:
    return escape(printable(redact(text)))
