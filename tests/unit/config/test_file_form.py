"""The form of the configuration file: what is no valid file, what a problem may show, and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from replica_cli.config.documents import json_schema
from replica_cli.config.loading import read_configuration
from replica_cli.core.errors import ConfigurationError
from replica_cli.core.settings import Secret
from tests.unit.config.test_file import LEAST, problems, read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secondaries: [db2, db3]\n", ["replica.yaml:1: secondaries[0]: is not an object of settings",
                                       "replica.yaml:1: secondaries[1]: is not an object of settings"]),
        (LEAST + "rules: [replica.a]\n", ["replica.yaml:2: rules[0]: is not an object of settings"]),
        ("secondaries: [{}, {host: a, port: 0}]\n", ["replica.yaml:1: secondaries[0]: is empty: give at least its `hos",
                                                     "replica.yaml:1: secondaries[1].port: '0' is not a whole number"]),
        ("secondaries:\n  - host: ${NONE:-}\n  - host: b\n", ["replica.yaml:2: secondaries[0]: is empty"]),
        ("secondaries:\n  - host: b\n  -\n", ["replica.yaml:3: secondaries[1]: is empty"]),
        ("secondaries: [{hst: a}]\n", ["secondaries[0].hst: unknown setting, did you mean host"]),
        ("secondaries: {host: a}\n", ["replica.yaml:1: secondaries: must be a list"]),
        (LEAST + "exclude_tabels: ''\n", ["replica.yaml:2: exclude_tabels: unknown setting, did you mean exclude_tab"]),
        (LEAST + "network: {hearbeat: }\n", ["network.hearbeat: unknown setting, did you mean heartbeat"]),
        (LEAST + "network: {tables: a.b}\n", ["replica.yaml:2: network.tables: unknown setting"]),
        (LEAST + "foo: {}\n", ["replica.yaml:2: foo: unknown setting"]),
        (LEAST + "network: {heartbeat: {}}\n", ["network.heartbeat: has parts of its own"]),
        (LEAST + "network: {heartbeat: []}\n", ["network.heartbeat: has parts of its own"]),
        (LEAST + "network: x\n", ["replica.yaml:2: network: is not an object of settings"]),
        (LEAST + "schemas: []\n", ["replica.yaml:2: schemas: is empty: name at least one schema"]),
        (LEAST + "schemas: [a, ~]\n", ["replica.yaml:2: schemas: item 2 of 2 is empty"]),
        (LEAST + "exclude_tables: ['replica.a, shop.b']\n", ["exclude_tables: 'shop.b' is in none of the schemas"]),
        (LEAST + "primary: {name: '${A:-${B}}'}\n", ["primary.name: `${` in the default of a reference"]),
        (LEAST + "primary: {<<: foo}\n", ["replica.yaml:2: primary: `<<` takes an object"]),
        (LEAST + "primary: {<<: {? [a] : b}}\n", ["primary: the name of a setting must be text"]),
        ("[" * 1500, ["replica.yaml: has too many values in one another"]),
        ('{"secondaries": ' * 1500, ["replica.yaml: has too many values in one another"]),
        (LEAST + 'primary: {name: "\\U00110000"}\n', ["an escape such as \\U names no character"]),
        (LEAST + 'primary: {name: "\\ud800"}\n', ["primary.name: is not UTF-8 text, or holds a NUL"]),
        (LEAST + 'primary: {password: "file:a\\0b"}\n', ["primary.password: names a file that cannot exist"]),
        ("a: [", ["replica.yaml:1: cannot be read as YAML or JSON: column 5: "]),
    ],
)  # fmt: skip
def test_each_mistake_of_form_is_one_problem(text: str, expected: list[str], tmp_path: Path) -> None:
    said = problems(tmp_path, text)
    assert len(said) == len(expected), said
    assert all(part in p for part, p in zip(expected, said, strict=True)), said


def test_a_file_that_cannot_be_read_is_the_only_problem(tmp_path: Path) -> None:
    path = tmp_path / "replica.yaml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(None, {}, tmp_path / ".env", path)
    assert caught.value.problems == (f"{path}: is not UTF-8 text",)


def test_another_source_hides_no_mistake_of_form(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, LEAST + "secondary_tls: x\n", {"MARIA_SECONDARY_TLS": "off"})
    assert said.startswith("replica.yaml:2: secondary_tls: is not an object")


@pytest.mark.parametrize("text", ["", "---\n# a comment\n", "{}"])
def test_an_empty_file_is_an_empty_configuration(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text, {"MARIA_SECONDARY_HOSTS": "a"}).settings.secondaries[0].host == "a"


@pytest.mark.parametrize(
    "text",
    ["*geheim", "&geheim", "!geheim", "!geheim x", "#geheim", "~", "", "{geheim}", "[geheim]", "{? [a, geheim] : b}",
     "ab${geheim}c", "'a'geheim", "|geheim", "@geheim", '"\\qgeheim"', "a: geheim: x", "ge\x7fheim",
     "|\n    geheim\n", "|\n    geheim\n    two\n", "'${TWO_LINES}'", "geheim\n  ? [geheim]\n  : x"],
)  # fmt: skip
def test_a_password_that_yaml_takes_for_something_else_is_a_problem_without_its_text(text: str, tmp_path: Path) -> None:
    said = problems(tmp_path, f"{LEAST}primary:\n  password: {text}\n", {"TWO_LINES": "geheim\n"})
    assert len(said) == 1, said
    assert "heim" not in said[0]


def test_an_empty_password_is_written_in_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "primary: {password: ''}\n").settings.primary.password == Secret("")


def test_a_secret_in_another_setting_is_not_shown(tmp_path: Path) -> None:
    environ = {"MARIA_PASS": "geheim", "OTHER": "heimlich"}
    text = "secondaries: [{host: db2, password: '${OTHER}', port: '${OTHER}'}]\nprimary: {port: 'a${MARIA_PASS}'}\n"
    said = problems(tmp_path, text, environ)
    assert [p.partition(": has a wrong value, which is not shown")[0] for p in said] == [
        "replica.yaml:1: secondaries[0].port", "replica.yaml:2: primary.port",
    ]  # fmt: skip
    said = problems(tmp_path, LEAST + "tables: ['${MARIA_PASS}.a']\n", environ)
    assert not any("geheim" in p for p in said)
    assert read(tmp_path, LEAST, environ).mask("ab-geheim-c") == "ab-***-c"
    # A short one is in many words, and a default is known to everybody.
    mask = read(tmp_path, LEAST, {"MARIA_PASS": "x"}).mask
    assert (mask("x"), mask("xy")) == ("***", "xy")
    assert read(tmp_path, LEAST, {"MARIA_PASS": "replica"}).mask("replica") == "replica"


def test_what_a_variable_replaces_is_not_evaluated(tmp_path: Path) -> None:
    text = "secondaries: [{host: a, password: '${NONE}'}, {host: b, password: file:/none}]\n"
    assert read(tmp_path, text, {"MARIA_SECONDARY_HOSTS": "c"}).settings.secondaries[0].host == "c"
    settings = read(tmp_path, text, {"MARIA_SECONDARY_PASSWORDS": "x,y"}).settings
    assert [s.password.reveal() for s in settings.secondaries] == ["x", "y"]
    (said,) = problems(tmp_path, text, {"MARIA_SECONDARY_PASSWORDS": "x,"})
    assert "secondaries[1].password: /none: No such file" in said


def test_a_list_of_an_item_with_commas(tmp_path: Path) -> None:
    text = LEAST + "exclude_tables: ['${EX}', replica.c]\n"
    selection = read(tmp_path, text, {"EX": "replica.a, replica.b"}).settings.selection
    assert selection.excluded_tables == ("replica.a", "replica.b", "replica.c")


def test_merges_of_merges(tmp_path: Path) -> None:
    text = "secondaries:\n  - &a {host: a, user: u}\n  - &b {<<: *a, host: b}\n  - {<<: *b, host: c}\n"
    settings = read(tmp_path, text).settings
    assert [(s.host, s.user) for s in settings.secondaries] == [("a", "u"), ("b", "u"), ("c", "u")]


def test_a_variable_that_the_file_uses_is_not_unknown(tmp_path: Path) -> None:
    environ = {"REPLICA_DB_USER": "u", "REPLICA_OTHER": "x"}
    warnings = read(tmp_path, LEAST + "primary: {user: '${REPLICA_DB_USER}'}\n", environ).warnings
    assert warnings == ("REPLICA_OTHER: unknown variable",)


def test_json_with_tabs_and_escapes_keeps_its_lines(tmp_path: Path) -> None:
    document = {"primary": {"password": "\U0001f600/é\x7f", "port": 1e0, "name": None}, "secondaries": [{"host": "a"}],
                "tables": [], "apply": {"compact": True}}  # fmt: skip
    text = json.dumps(document, indent="\t").replace("1.0", "1")
    settings = read(tmp_path, text).settings
    assert settings.primary.password == Secret("\U0001f600/é\x7f")
    assert (settings.primary.port, settings.primary.name) == (1, "mariadb-primary")
    (said,) = problems(tmp_path, text.replace('"a"', '"a",\n\t\t\t"port": 0'))
    line = text[: text.index('"host"')].count("\n") + 2
    assert said.startswith(f"replica.yaml:{line}: secondaries[0].port: ")


def test_the_schema_accepts_what_the_file_may_have() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    good = {
        "secondaries": [{"host": "a", "name": 1, "tls": {"mode": "${TLS}"}, "apply": {"engine": "ROW_IMAGE"}}],
        "primary": {"password": 12345, "host": None},
        "logging": {"level": "debug"},
        "network": None,
        "rules": [{"tables": "a.b", "ddl": "${DDL:-stop}"}],
    }
    assert list(validator.iter_errors(good)) == []
    for bad in (
        {"secondaries": [{"name": "a"}]}, {"rules": [{"ddl": "stop"}]}, {"primary": {"password": None}},
        {"logging": {"level": "loud"}}, {"primary": {"tls": {"mode": "xoff"}}},
    ):  # fmt: skip
        assert list(validator.iter_errors(bad)), bad
