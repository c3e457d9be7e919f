"""Words that the glossary does not allow are reported, and only these."""

from __future__ import annotations

import pytest

from tests.architecture import words
from tests.architecture.words import NAMES, WORDS, Use, names_in_python, problems, uses_in_python, uses_in_text

EXAMPLES = [(word, instead) for alike, instead in WORDS for word in alike]


@pytest.mark.parametrize(("word", "instead"), EXAMPLES)
def test_each_word_is_reported_with_its_line_and_the_word_to_use(word: str, instead: str) -> None:
    broken = word.replace(" ", "\n    # ")
    assert uses_in_text(f"A line.\n\nA {word} b.\n") == [Use(3, word, instead)]
    assert uses_in_python(f'"""A line.\n\nA {word} b.\n"""\n') == [Use(3, word, instead)]
    assert uses_in_python(f"a = 1\nb = f'{{a}} is {word} b'\n") == [Use(2, word, instead)]
    assert uses_in_python(f"a = 1  # {word.capitalize()} b\n") == [Use(1, word.capitalize(), instead)]
    if " " in word:
        assert len(uses_in_python(f"a = [\n    # A {broken} b\n]\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "SHOW SLAVE HOSTS, GRANT REPLICATION SLAVE",
        "the variable `gtid_slave_pos`, the option --slave-info",
        "```sh\nset aside\n```",
        "[a page](master.md)",
        "rows that cannot be told apart",
        "master_host, slaves\\_running",
        "yours, hours, renewed, standing, understand",
    ],
)
def test_names_code_and_statements_are_not_reported(text: str) -> None:
    assert uses_in_text(text) == []


def test_names_of_python_code_are_not_reported() -> None:
    assert uses_in_python("ours = theirs('master')\nanew = 'gtid_slave_pos'\n") == []


@pytest.mark.parametrize("name", NAMES)
def test_names_that_say_nothing_are_reported(name: str) -> None:
    expected = [Use(2, name, NAMES[name])]
    assert names_in_python(f"# {name}\n{name} = 1\n") == expected
    assert names_in_python(f"def f():\n    return a.{name}\n") == expected
    assert names_in_python(f"# {name}\ndef {name}_of(): return '{name}'\n") == []


def test_lines_are_those_of_the_file() -> None:
    assert uses_in_text("```\na\nb\n```\n`c\nd` anew") == [Use(6, "anew", "again")]
    text = "a = (\n    1,  # first\n    # second\n    # anew\n)\n# ours\n"
    assert [(use.line, use.word) for use in uses_in_python(text)] == [(4, "anew"), (6, "ours")]


def test_the_project_uses_none_of_them() -> None:
    assert problems() == []


def test_an_exception_that_is_not_needed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "ALLOWED", {**words.ALLOWED, ("README.md", "anew"): "a reason"})
    assert problems() == ["README.md: 'anew' is in ALLOWED and is not used"]
