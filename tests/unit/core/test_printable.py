from __future__ import annotations

import json
import re

import pytest

from replica_cli.core.position import Position
from replica_cli.core.printable import each_text, is_printable, printable, printable_json, printable_lines
from replica_cli.core.reports.health import HealthCheck, HealthLevel
from replica_cli.core.table import TableName

RAW = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x9b31m\x85\x7f", r"\x9b31m\x85\x7f"),
        ("\u202eevil\u2069", r"\u202eevil\u2069"),
        ("a\u2028b\u200b", r"a\u2028b\u200b"),
        ("\udc80", r"\udc80"),
        ("\U000e0041", r"\U000e0041"),
        ("Größe 大小 `a`.'b' \\n 🙂", "Größe 大小 `a`.'b' \\n 🙂"),
    ],
)
def test_what_would_act_on_a_terminal_is_written_out(text: str, written: str) -> None:
    assert printable(text) == written
    assert is_printable(text) == (text == written)
    written.encode()  # no half of a surrogate pair is left


def test_line_ends_stay_where_they_are_the_layout() -> None:
    assert printable_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n"


def test_json_holds_nothing_raw_and_the_same_values() -> None:
    document = {"a\x1b": ["\x9b\u202e\n", "\U000e0041", "大"]}
    text = printable_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert not RAW.search(text.replace("\n", ""))
    assert json.loads(text) == document


def test_each_text_of_nested_values_is_changed_and_nothing_else() -> None:
    check = HealthCheck("a\n", HealthLevel.WARNING, "b\n", value=1.5, instance="c\n")
    assert each_text((check, [TableName("s\n", "t")], {"k": None}, Position("f\n", 4)), printable) == (
        HealthCheck(r"a\n", HealthLevel.WARNING, r"b\n", value=1.5, instance=r"c\n"),
        [TableName(r"s\n", "t")],
        {"k": None},
        Position(r"f\n", 4),
    )
