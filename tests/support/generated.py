"""Reads and writes the generated parts of documents.

A part is the text between the lines `<!-- NAME: begin -->` and `<!-- NAME: end -->`. `tests/docs/generate.py` writes
all parts; `tests/docs/test_generated.py` fails if one is stale.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_part(document: Path, name: str) -> str:
    """Return the text of a part. Raises ValueError if the document has no such part, or has it twice."""
    return _split(document, name)[1]


def write_part(document: Path, name: str, text: str) -> None:
    """Replace the text of a part, and leave the rest of the document as it is."""
    before, _, after = _split(document, name)
    document.write_text(f"{before}{text}{after}")


def without_parts(text: str) -> str:
    """Return what people wrote of a document: its text without the generated parts."""
    return re.sub(r"^<!-- ([^:\n]+): begin -->\n.*?^<!-- \1: end -->\n", "", text, flags=re.MULTILINE | re.DOTALL)


def _split(document: Path, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    text = document.read_text()
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"{document} does not have the part {name!r} once")
    before, _, rest = text.partition(begin)
    part, _, after = rest.partition(end)
    return before + begin, part, end + after
