"""Writes the generated parts of docs/: `bash tests/run.sh docs`, or `PYTHONPATH=.:tests python tests/docs/generate.py`.

The test of `test_generated.py` compares the documents with the same parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from documents import DOCS
from generated import write_part
from matrix import coverage

from replica_cli.config import variables_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Part(NamedTuple):
    """A part of a document, with the text that it must have."""

    document: Path
    name: str
    text: str


def parts() -> Iterator[Part]:
    """Yield all generated parts with their current text."""
    yield Part(DOCS / "configuration.md", "variables", f"\n{variables_table()}\n")
    yield Part(coverage.DOCUMENT, coverage.PART, f"\n{coverage.tables()}\n")


def main() -> None:
    """Write all parts."""
    for part in parts():
        write_part(part.document, part.name, part.text)


if __name__ == "__main__":
    main()
