from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from replica_cli.config.catalogue import variables
from replica_cli.config.documents import example_env, file_only_table, variables_table
from replica_cli.config.loading import load_settings

ROOT = Path(__file__).parents[3]
NOWHERE = Path("no such folder/.env")
BASE = {"MARIA_SECONDARY_HOSTS": "db2"}


def test_the_defaults_as_listed_are_the_defaults() -> None:
    listed = {v.variable: v.default for v in variables() if v.default}
    assert load_settings(None, {**listed, **BASE}, NOWHERE) == load_settings(None, BASE, NOWHERE)


def test_the_example_lists_every_variable_with_its_default_under_a_comment() -> None:
    lines = (ROOT / "example.env").read_text().splitlines()
    found = {}
    for above, line in pairwise(lines):
        match = re.fullmatch(r"#?([A-Z_]+)=(.*)", line)
        if match:
            assert above.startswith("# "), line
            found[match[1]] = match[2]
    assert found == {v.variable: v.default for v in variables()}


@pytest.mark.parametrize("is_edited", [True, False], ids=["edited", "appended"])
def test_the_example_file_takes_the_least_that_the_tutorial_asks_for(tmp_path: Path, *, is_edited: bool) -> None:
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    least = re.search(r"at least:\n\n```sh\n(.*?)```", tutorial, re.DOTALL)
    assert least is not None
    example = (ROOT / "example.env").read_text()
    if is_edited:
        for line in least[1].splitlines():
            example, count = re.subn(rf"^#{line.partition('=')[0]}=.*", line, example, flags=re.MULTILINE)
            assert count == 1, line
    (tmp_path / ".env").write_text(example if is_edited else example + least[1])
    settings = load_settings(None, {}, tmp_path / ".env")
    assert settings.primary.password.reveal() == "change-me"
    assert [s.name for s in settings.secondaries] == ["db2", "db3"]


def test_the_page_holds_the_table() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert variables_table() in page
    assert file_only_table() in page


def test_the_example_is_generated() -> None:
    assert (ROOT / "example.env").read_text() == example_env()


def test_names_are_unique_and_meanings_fit_one_cell() -> None:
    assert len({v.variable for v in variables()}) == len(variables())
    for variable in variables():
        assert "\n" not in variable.meaning
        assert "|" not in variable.meaning
