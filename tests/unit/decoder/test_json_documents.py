"""Documents that arrive as text: what MySQL would change of them, and the types that their text hides."""

from __future__ import annotations

import pytest

from replica_cli.core.errors import UnsupportedEvent
from replica_cli.decoder.json_documents import difference, text_value, typed_value


@pytest.mark.parametrize(
    "text",
    ["null", " [1 , -0.0, 1e100, 18446744073709551615] ", '{"b": 1, "a": "é\\u0001"}', '"x"', "0.1", "1.10", "[]"],
)
def test_what_mysql_keeps(text: str) -> None:
    assert difference(text.encode()) is None
    assert text_value(text.encode()).startswith(b"CONVERT(")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 1}', "twice"),
        ('[{"k": {"a": 1, "b": 2, "a": 3}}]', "twice"),
        ("18446744073709551616", "64 bits"),
        ("-9223372036854775809", "64 bits"),
        ("[-0]", "-0"),
        ("0.12345678901234567890123", "DOUBLE"),
        ("1e400", "DOUBLE"),
        ("NaN", "not a number"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "deep"),
    ],
)
def test_what_mysql_would_change(text: str, reason: str) -> None:
    assert reason in str(difference(text.encode()))
    with pytest.raises(UnsupportedEvent, match="cannot store"):
        text_value(text.encode())


def test_types_that_text_hides() -> None:
    text = b'{"a": [1.50, "base64:type15:AA==", "x", {"b": 2}], "d": "2024-01-01", "n": null}'
    made = typed_value(text, "OBJECT", ["ARRAY", "DATE", None, "INTEGER", "DECIMAL", "BLOB", "STRING", "OBJECT"])
    assert made.startswith(b"JSON_OBJECT(")
    for part in (b"CAST(1.50 AS JSON)", b"CAST(x'00' AS JSON)", b"CAST(CAST('2024-01-01' AS DATE) AS JSON)"):
        assert part in made
    assert typed_value(b"7", "DECIMAL", []) == b"CAST(CAST(7 AS DECIMAL(1,0)) AS JSON)"
    assert typed_value(b'"10:00:00.000000"', "STRING", []) == b"CONVERT('\"10:00:00.000000\"' USING utf8mb4)"


@pytest.mark.parametrize(
    ("text", "top", "kinds"),
    [
        (b"[1]", "ARRAY", []),
        (b"[1]", "ARRAY", ["DATE"]),
        (b'"base64:type16:AA=="', "BLOB", []),
        (b'"x"', "BLOB", []),
        (b'"2024-01-01 00:00:00.000000"', "TIMESTAMP", []),
    ],
)
def test_types_that_do_not_fit_or_cannot_be_made(text: bytes, top: str, kinds: list[str]) -> None:
    with pytest.raises(UnsupportedEvent):
        typed_value(text, top, kinds)
