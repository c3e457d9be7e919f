from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from replica_cli.config import VARIABLES, load_settings, variables_table

ROOT = Path(__file__).parents[3]
NOWHERE = Path("no such folder/.env")
BASE = {"MARIA_SECONDARY_HOSTS": "db2"}


def test_the_defaults_as_listed_are_the_defaults() -> None:
    listed = {v.name: v.default for v in VARIABLES if v.default}
    assert load_settings(None, {**listed, **BASE}, NOWHERE) == load_settings(None, BASE, NOWHERE)


def test_the_example_lists_every_variable_with_its_default_under_a_comment() -> None:
    lines = (ROOT / "example.env").read_text().splitlines()
    found = {}
    for above, line in pairwise(lines):
        match = re.fullmatch(r"#?([A-Z_]+)=(.*)", line)
        if match:
            assert above.startswith("# "), line
            found[match[1]] = match[2]
    assert found == {v.name: v.default for v in VARIABLES} | {
        "MARIA_SECONDARY_HOSTS": "mariadb-secondary1,mariadb-secondary2"
    }


def test_the_example_is_a_configuration() -> None:
    assert len(load_settings(None, {}, ROOT / "example.env").secondaries) == 2


def test_the_example_file_takes_the_least_that_the_readme_asks_for(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    least = re.search(r"At least:\n\n```sh\n(.*?)```", readme, re.DOTALL)
    assert least is not None
    (tmp_path / "password").write_text("secret")
    lines = least[1].replace("/etc/replica/password", str(tmp_path / "password"))
    example = (ROOT / "example.env").read_text()
    for name in re.findall(r"^(\w+)=", lines, re.MULTILINE):
        example = re.sub(rf"^#?{name}=.*\n", "", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(example + lines)
    settings = load_settings(None, {}, tmp_path / ".env")
    assert settings.primary.password.reveal() == "secret"
    assert [s.name for s in settings.secondaries] == ["db2", "db3"]


def test_the_readme_holds_the_table() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README")
    assert variables_table() in readme.read_text()


def test_names_are_unique_and_meanings_fit_one_cell() -> None:
    assert len({v.name for v in VARIABLES}) == len(VARIABLES)
    for variable in VARIABLES:
        assert "\n" not in variable.meaning
        assert "|" not in variable.meaning
