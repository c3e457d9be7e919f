"""Collation ids, and how Python reads the charsets of servers."""

from __future__ import annotations

import codecs

import pytest

from replica_cli.core.charsets import (
    _CHARSETS,
    UCA1400_COLLATIONS,
    canonical_charset,
    charset_of,
    codec_of,
    has_one_byte,
    is_ambiguous,
)


def test_no_id_belongs_to_two_charsets() -> None:
    parts = [part.partition("-") for each in _CHARSETS for part in each.ids.split()]
    ids = sorted(number for low, _, high in parts for number in range(int(low), int(high or low) + 1))
    assert len(set(ids)) == len(ids)


def test_known_ids() -> None:
    assert [charset_of(number) for number in (8, 33, 45, 63, 255, 248)] == [
        "latin1", "utf8mb3", "utf8mb4", "binary", "utf8mb4", "gb18030",
    ]  # fmt: skip
    assert charset_of(60_000) is None


def test_a_uca1400_collation_has_an_id_of_its_charset() -> None:
    assert UCA1400_COLLATIONS[2304] == "utf8mb4_uca1400_ai_ci"
    for number, name in UCA1400_COLLATIONS.items():
        assert charset_of(number) == name.partition("_")[0]


@pytest.mark.parametrize("charset", [each for each in _CHARSETS if each.codec], ids=lambda each: each.name)
def test_python_has_the_codec(charset: object) -> None:
    name = charset.name  # type: ignore[attr-defined]
    assert codecs.lookup(codec_of(name))
    if has_one_byte(name):
        assert all(len(bytes((n,)).decode(codec_of(name), "replace")) == 1 for n in range(256))


def test_utf8_is_utf8mb3() -> None:
    assert [canonical_charset(name) for name in ("utf8", "utf8_bin", "utf8mb4", "latin1")] == [
        "utf8mb3", "utf8mb3_bin", "utf8mb4", "latin1",
    ]  # fmt: skip
    assert codec_of("utf8") == codec_of("unheard_of") == "utf-8"


def test_a_backslash_before_a_long_character_is_ambiguous_in_charsets_that_hold_one() -> None:
    assert is_ambiguous("\\é", "gbk")
    assert not is_ambiguous("\\é", "utf8mb4")
    assert not is_ambiguous("\\n", "gbk")
