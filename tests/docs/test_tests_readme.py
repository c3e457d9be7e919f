"""What tests/README.md says of the tests: folders, plugins, files, modules, and the lines of a case."""

from __future__ import annotations

import re
from importlib.util import find_spec

from tests import conftest
from tests.cases.test_cases import KEYS
from tests.docs.documents import ROOT

TESTS = ROOT / "tests"
TEXT = (TESTS / "README.md").read_text()


def firsts(head: str) -> set[str]:
    """Return the words that begin the rows of the table with this head, without what follows a colon."""
    table = TEXT.partition(f"| {head} |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))


def test_every_folder_is_in_the_table() -> None:
    assert firsts("folder") == {path.parent.name for path in TESTS.glob("*/__init__.py")}


def test_every_plugin_is_named() -> None:
    assert firsts("module") == {name.removeprefix("tests.support.") for name in conftest.pytest_plugins}


def test_files_and_modules_exist() -> None:
    files = re.findall(r"`(tests/[\w./]+)`", TEXT)
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
    modules = re.findall(r"python -m (tests[\w.]*\w)", TEXT)
    assert modules
    assert [name for name in modules if find_spec(name) is None] == []


def test_the_lines_of_a_case_are_those_that_are_read() -> None:
    assert firsts("line in `expect`") == KEYS
