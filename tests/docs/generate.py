"""Writes the generated parts of docs/: `bash tests/run.sh docs`, or `python -m tests.docs.generate`.

The test of `test_generated.py` compares the documents with the same parts.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
import yaml

from replica_cli.api.declared import metrics_table
from replica_cli.api.textfile import textfile_table
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.config.documents import example_env, file_only_table, variables_table
from replica_cli.core.attempts import attempts_table
from tests.docs.documents import DOCS, ROOT, commands
from tests.matrix import coverage
from tests.support.generated import write_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


EXAMPLE_ENV = ROOT / "example.env"


class Part(NamedTuple):
    """A part of a document, with the text that it must have."""

    document: Path
    name: str
    text: str


def parts() -> Iterator[Part]:
    """Yield all generated parts with their current text."""
    yield Part(DOCS / "configuration.md", "variables", f"\n{variables_table()}\n")
    yield Part(DOCS / "configuration.md", "settings of the file", f"\n{file_only_table()}\n")
    yield Part(DOCS / "how-it-works" / "errors.md", "attempts", f"\n{attempts_table()}\n")
    yield Part(DOCS / "how-it-works" / "state.md", "transitions", f"\n{_transitions()}\n\n")
    yield Part(DOCS / "operations" / "monitor.md", "alerts", f"\n{_alerts()}\n\n")
    yield Part(DOCS / "operations" / "monitor.md", "metrics", f"\n{metrics_table()}\n\n")
    yield Part(DOCS / "operations" / "monitor.md", "textfile metrics", f"\n{textfile_table()}\n\n")
    for name, command in commands().items():
        yield Part(DOCS / "commands.md", f"help of replica {name}", f"\n```text\n{_help(name, command)}\n```\n\n")
    yield Part(coverage.DOCUMENT, coverage.PART, f"\n{coverage.tables()}\n")


def _alerts() -> str:
    """Return the table of the alerts, from the rules of the examples."""
    rules = yaml.safe_load((ROOT / "examples" / "prometheus" / "alerts.yml").read_text())
    lines = ["| alert | severity | condition | for |", "|---|---|---|---|"]
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        cells = (f"`{rule['alert']}`", rule["labels"]["severity"], f"`{rule['expr']}`", rule.get("for", ""))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _transitions() -> str:
    """Return the table of the transitions, from the docstring of the class that has them."""
    lines = inspect.cleandoc(TableLifecycle.__doc__ or "").splitlines()
    return "\n".join(line for line in lines if line.startswith("|"))


def _help(name: str, command: Any) -> str:
    """Return what `replica NAME --help` prints into a pipe, also if this program runs on a terminal."""
    command.rich_markup_mode = None
    names = ["-h", "--help"]
    context = typer.Context(command, info_name=f"replica {name}", terminal_width=100, help_option_names=names)
    return str(command.get_help(context)).rstrip()


def main() -> None:
    """Write all parts."""
    for part in parts():
        write_part(part.document, part.name, part.text)
    EXAMPLE_ENV.write_text(example_env())


if __name__ == "__main__":
    main()
