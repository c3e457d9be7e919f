from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ExitCode
from replica_cli.core.reports.health import HealthLevel
from replica_cli.logs import Tag
from tests.docs.documents import README, ROOT, commands, shell_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = README.read_text()
SOURCES = {path: path.read_text() for path in (ROOT / "replica_cli").rglob("*.py")}


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def options() -> Iterator[tuple[str, str]]:
    for name, command in commands().items():
        for parameter in command.params:
            if parameter.opts[0].startswith("-"):
                yield name, "|".join(parameter.opts)


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_heading_or_an_example(command: str) -> None:
    lines = [line for line in shell_lines(README) if line.split()[1 : 1 + len(command.split())] == command.split()]
    assert lines, f"`replica {command}` is not shown"


@pytest.mark.parametrize(("command", "option"), list(options()), ids=str)
def test_every_option_is_mentioned(command: str, option: str) -> None:
    assert re.search(rf"(?<![\w-])({option})(?![\w-])", section("Commands")), command


def test_every_exit_code_has_a_row_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)
    assert rows == [str(int(code)) for code in ExitCode]


def test_every_level_of_health_is_told() -> None:
    for level in HealthLevel:
        assert f"{int(level)} {level.name.lower()}" in section("Exit codes")


def test_every_tag_has_a_row() -> None:
    assert set(re.findall(r"`\[([A-Z]+)\]`", section("Logging"))) == set(Tag)


@pytest.mark.parametrize("tag", Tag)
def test_every_tag_of_the_readme_is_logged(tag: Tag) -> None:
    # Rows are tagged by their kind: Tag[kind.name].
    if tag in (Tag.INSERT, Tag.UPDATE, Tag.DELETE):
        return
    used = re.compile(rf'\bTag\.{tag.name}\b|"tag": "{tag}"')
    places = [path for path, text in SOURCES.items() if path.name != "records.py" and used.search(text)]
    assert places, f"[{tag}] is in the README and logged nowhere"


def test_every_state_table_is_told() -> None:
    schema = (ROOT / "replica_cli" / "checkpoint" / "schema.py").read_text()
    tables = re.findall(r'^    "(\w+)": _', schema, re.MULTILINE)
    assert tables
    assert re.findall(r"^\| `(\w+)` \|", section("How it works"), re.MULTILINE) == tables


def test_every_part_of_the_package_stands_in_the_architecture() -> None:
    parts = {
        path.stem
        for path in (ROOT / "replica_cli").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    text = section("Architecture")
    assert sorted(p for p in parts if not p.startswith("__") and not re.search(rf"\b{p}\b", text)) == []


def test_the_files_that_it_names_are_there() -> None:
    names = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT) + re.findall(r"`((?:examples|tests)/[^`<> ]+)`", TEXT)
    assert names
    assert [n for n in names if not (ROOT / n).exists()] == []
