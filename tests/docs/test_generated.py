from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.documents import PAGES
from tests.docs.generate import Part, parts
from tests.support.generated import read_part, write_part

if TYPE_CHECKING:
    from pathlib import Path

PARTS = list(parts())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_no_generated_part_is_stale(part: Part) -> None:
    assert read_part(part.document, part.name) == part.text, "stale: `bash tests/run.sh docs` writes it"


def test_every_marked_part_is_generated() -> None:
    marked = [
        (page, name) for page in PAGES for name in re.findall(r"^<!-- (.+): begin -->$", page.read_text(), re.MULTILINE)
    ]
    assert sorted(marked) == sorted((part.document, part.name) for part in PARTS)


def test_a_stale_part_is_written_and_the_rest_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n")
    write_part(page, "x", "new\n")
    assert page.read_text() == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="'y' once"):
        read_part(page, "y")
