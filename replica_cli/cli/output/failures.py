"""Shows an error on stderr as text or as one JSON line: what happened, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.cli.output.console import remark, write_document
from replica_cli.core.commands import fill
from replica_cli.core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.cli.output.console import Painter
    from replica_cli.core.reports.failure import Failure


def render_failure(failure: Failure, *, is_json: bool, paint: Painter, problems: Sequence[str] = ()) -> None:
    """Write one error. `problems` replace its message, one on each line; commands in message and hint are completed."""
    failure = replace(failure, message=fill(failure.message), hint=failure.hint and fill(failure.hint))
    if is_json:
        write_document(documents.failure_document(failure, problems), is_line=True, to_stderr=True)
        return
    lines = [f"{paint.bad('error')}: {printable(text)}" for text in problems or (failure.message,)]
    if failure.hint:
        lines.append(f"{paint.bold('hint')}: {printable(failure.hint)}")
    remark("\n".join(lines))
