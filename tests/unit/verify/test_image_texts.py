"""The text of a row image. The matrix shows that servers make the same of the same rows."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from replica_cli.core.table import Column
from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn, Sides, value_text
from replica_cli.verify.image_texts import ImageTexts

_ALIKE = Sides(is_mariadb=True, other_is_mariadb=True)
_ACROSS = Sides(is_mariadb=True, other_is_mariadb=False)


# Of a point: the SRID 0, little endian, and the type 1.
_POINT_HEAD = b"\0\0\0\0\x01\x01\0\0\0"


def _column(kind: str, *, digits: int = 0, extra: str = "") -> Column:
    scale = int(kind.partition(",")[2].rstrip(")")) if kind.startswith("decimal") else None
    return Column(
        "c", kind.partition("(")[0], kind, scale=scale, is_nullable=True, fraction_digits=digits, extra=extra
    )  # fmt: skip


def _images(*columns: Column, sides: Sides = _ALIKE) -> ImageTexts:
    compared = []
    for column in columns:
        text = value_text(column, column, sides)
        assert text is not None
        compared.append(ComparedColumn(column, text))
    return ImageTexts(compared, range(len(columns)), logs_json=False)


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    ("kind", "literal", "text"),
    [
        ("int", b"-5", b"-5"),
        ("bit(8)", b"255", b"255"),
        ("double", b"1.5e0", b"0#" + _POINT_HEAD + bytes(6) + b"\xf8\x3f" + bytes(8)),
        ("double", b"-0.0e0", b"0#" + _POINT_HEAD + bytes(7) + b"\x80" + bytes(8)),
        ("double", b"NULL", b"1"),
        ("decimal(9,2)", b"-1.50", b"-1.50"),
        ("float(7,3)", b"1234.5670166015625e0", b"1234.567"),
        ("float(7,3)", b"-0.0e0", b"-0.000"),
        ("double(30,10)", b"12345678901234567168e0", b"12345678901234567000.0000000000"),
        ("double(53,0)", b"5e-324", b"0"),
        ("varchar(9)", rb"'it\'s \\'", rb"6#it's \ "[:-1]),
        ("varchar(9)", b"'NULL'", b"4#NULL"),
        ("varchar(9)", b"''", b"0#"),
        ("date", b"'2024-02-29'", b"2024-02-29"),
        ("varchar(9)", b"NULL", b"-"),
    ],
)
def test_a_value_has_the_text_that_a_server_makes(kind: str, literal: bytes, text: bytes) -> None:
    assert _images(_column(kind)).hash_of([literal]) == _hash(text)


def test_across_flavours_zero_has_no_sign() -> None:
    for kind, text in (("double", b"0#" + _POINT_HEAD + bytes(16)), ("float(7,3)", b"0.000")):
        images = _images(_column(kind), sides=_ACROSS)
        assert images.hash_of([b"-0.0e0"]) == images.hash_of([b"0.0e0"]) == _hash(text)


def test_fractions_of_seconds_have_all_digits_of_the_type() -> None:
    column = _column("datetime(6)", digits=6)
    assert _images(column).hash_of([b"'2024-02-29 01:02:03'"]) == _hash(b"2024-02-29 01:02:03.000000")
    assert _images(column).hash_of([b"'2024-02-29 01:02:03.5'"]) == _hash(b"2024-02-29 01:02:03.500000")


@pytest.mark.parametrize("moment", ["2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999"])
def test_the_last_moment_of_each_release_is_the_same(moment: str) -> None:
    images = _images(_column("timestamp(6)", digits=6, extra="ROW END"))
    assert images.hash_of([f"'{moment}'".encode()]) == _hash(b"current")


def test_long_bytes_come_last_as_their_hash() -> None:
    images = _images(_column("text"), _column("int"))
    assert images.hash_of([b"'a'", b"7"]) == _hash(b"7" + _hash(b"a").encode())
    assert images.hash_of([b"NULL", b"7"]) == _hash(b"7-")
    assert _images(_column("text")).hash_of([b"'a'"]) == _hash(b"#" + _hash(b"a").encode())


def test_no_two_rows_share_a_text() -> None:
    images = _images(_column("varchar(9)"), _column("varchar(9)"))
    rows = [
        (b"NULL", b"'-'"), (b"'-'", b"NULL"), (b"NULL", b"NULL"), (b"''", b"NULL"), (b"NULL", b"''"), (b"''", b"''"),
        (b"'a'", b"'b#'"), (b"'a#'", b"'b'"), (b"'a#b'", b"''"), (b"''", b"'a#b'"), (b"'a'", b"'a '"),
        (b"'A'", b"'a '"),
    ]  # fmt: skip
    assert len({images.hash_of(row) for row in rows}) == len(rows)


def test_no_rows_with_odd_bytes_share_a_text() -> None:
    # The second text has no length of its own, and the digits of the long one follow it.
    images = _images(_column("varchar(9)"), _column("int"), _column("varchar(9)"), _column("double"), _column("text"))
    texts = (b"NULL", b"''", b"'#'", b"'-'", b"'1'", b"'1#'", b"'#0'")
    rows = list(itertools.product(texts, (b"NULL", b"0"), texts, (b"NULL", b"0.0e0"), (b"NULL", b"''", b"'-'")))
    assert len({images.hash_of(row) for row in rows}) == len(rows)


def test_a_text_that_only_a_server_makes_gives_no_hash() -> None:
    date, moment = _column("date"), _column("datetime")
    text = value_text(date, moment, _ALIKE)
    assert text is not None
    assert not ImageTexts([ComparedColumn(date, text)], [0], logs_json=False).is_complete
    assert _images(date).is_complete
