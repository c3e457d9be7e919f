"""The pages that list what the program has: commands, options, exit codes, tags, state tables and packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.schema import state_tables
from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.health import HealthLevel
from replica_cli.logs import Tag
from tests.docs.documents import DOCS, README, ROOT, commands, shell_lines
from tests.support.generated import without_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = {path: path.read_text() for path in (ROOT / "replica_cli").rglob("*.py")}
COMMANDS = DOCS / "commands.md"
EXIT_CODES = (DOCS / "exit-codes.md").read_text()
LOGGING = (DOCS / "logging.md").read_text()


def options() -> Iterator[tuple[str, str]]:
    for name, command in commands().items():
        for parameter in command.params:
            if parameter.opts[0].startswith("-"):
                yield name, "|".join(parameter.opts)


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_heading_or_an_example(command: str) -> None:
    lines = [line for line in shell_lines(COMMANDS) if line.split()[1 : 1 + len(command.split())] == command.split()]
    assert lines, f"`replica {command}` is not shown"


@pytest.mark.parametrize(("command", "option"), list(options()), ids=str)
def test_every_option_is_mentioned(command: str, option: str) -> None:
    # By people, with what it is good for: the generated help texts have every option anyway.
    assert re.search(rf"(?<![\w-])({option})(?![\w-])", without_parts(COMMANDS.read_text())), command


def test_every_exit_code_has_a_row_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \|", EXIT_CODES, re.MULTILINE)
    assert rows == [str(int(code)) for code in ExitCode]


def test_every_level_of_health_is_documented() -> None:
    for level in HealthLevel:
        assert f"{int(level)} {level.name.lower()}" in EXIT_CODES


def test_every_tag_has_a_row() -> None:
    assert set(re.findall(r"`\[([A-Z]+)\]`", LOGGING)) == set(Tag)


@pytest.mark.parametrize("tag", Tag)
def test_every_tag_of_the_page_is_logged(tag: Tag) -> None:
    # Rows are tagged by their kind: Tag[kind.name].
    if tag in (Tag.INSERT, Tag.UPDATE, Tag.DELETE):
        return
    used = re.compile(rf'\bTag\.{tag.name}\b|"tag": "{tag}"')
    places = [path for path, text in SOURCES.items() if path.name != "records.py" and used.search(text)]
    assert places, f"[{tag}] is on the page and logged nowhere"


def test_every_state_table_is_documented() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (DOCS / "how-it-works" / "state.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(state_tables())


def test_every_package_is_in_the_architecture() -> None:
    parts = {
        path.stem
        for path in (ROOT / "replica_cli").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    text = (DOCS / "development.md").read_text()
    assert sorted(p for p in parts if not p.startswith("__") and not re.search(rf"\b{p}\b", text)) == []


def test_the_readme_is_short_and_names_every_command() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 200
    assert [name for name in commands() if f"replica {name}" not in text] == []
