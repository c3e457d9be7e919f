"""Builds the answers of `replica config check` and `replica config show` as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.cli.output.plain_text import columns
from replica_cli.core.printable import printable
from replica_cli.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.cli.output.console import Painter
    from replica_cli.core.reports.configuration import ConfigurationReport, SettingReport


def check_text(report: ConfigurationReport, paint: Painter) -> str:
    """Return the answer of `config check` for people."""
    where = f" ({report.file})" if report.file else ""
    head = f"the configuration is valid{where}: {report.primary} to {', '.join(report.secondaries)}"
    lines = [paint.good("ok") + f"  {printable(head)}"]
    lines += [paint.doubtful("warning") + f"  {printable(each)}" for each in report.warnings]
    return "\n".join(lines)


def settings_text(settings: Sequence[SettingReport], paint: Painter) -> str:
    """Return the answer of `config show` for people."""
    if not settings:
        return "every setting has its default"
    rows = [
        (printable(s.name), printable("-" if s.value is None else s.value), printable(s.origin or s.source))
        for s in settings
    ]
    return columns(("setting", "value", "from"), rows, paint) + f"\n{counted(len(rows), 'setting')}"
