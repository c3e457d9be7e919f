"""The SQL of a row's text: which values get a text that both servers make alike, and which have none."""

from __future__ import annotations

import pytest

from replica_cli.core.table import Column
from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn, Sides, TextForm, ValueText, text_of_row, value_text

_MARIADB, _MYSQL = Sides(is_mariadb=True, other_is_mariadb=True), Sides(is_mariadb=False, other_is_mariadb=False)
_ACROSS = Sides(is_mariadb=True, other_is_mariadb=False)


def _column(kind: str, *, charset: str | None = None, digits: int = 0) -> Column:
    scale = int(kind.partition(",")[2].rstrip(")")) if kind.startswith("decimal") else None
    data_type = kind.partition("(")[0].partition(" ")[0]
    return Column("c", data_type, kind, charset=charset, fraction_digits=digits, scale=scale)


def _text(kind: str, other: str = "", sides: Sides = _MARIADB) -> ValueText:
    made = value_text(_column(kind), _column(other or kind), sides)
    assert made is not None
    return made


def _row(*columns: Column) -> str:
    compared = []
    for column in columns:
        text = value_text(column, column, _MARIADB)
        assert text is not None
        compared.append(ComparedColumn(column, text))
    return text_of_row(compared)


def test_the_separator_decides_that_the_text_is_bytes() -> None:
    # The columns alone would decide for a charset of one of them, and the others would be converted.
    assert _row(_column("varchar(9)")).startswith("CONCAT_WS(_binary'#' COLLATE `binary`,")


def test_a_null_has_a_short_text_and_no_bytes() -> None:
    column = Column("c", "varchar", "varchar(9)", is_nullable=True)
    assert _row(column) == "CONCAT_WS(_binary'#' COLLATE `binary`,IFNULL(LENGTH(`c`),'-'),`c`)"


def test_the_last_bytes_have_no_length() -> None:
    words = Column("c", "varchar", "varchar(9)", is_nullable=False)
    number = Column("c", "int", "int", is_nullable=False)
    head = "CONCAT_WS(_binary'#' COLLATE `binary`,"
    assert _row(words, number, words) == f"{head}LENGTH(`c`),`c`,`c`,`c`)"
    assert _row(number, words) == f"{head}`c`,`c`)"
    # Alone, nothing else would tell NULL from an empty text.
    assert _row(words) == f"{head}LENGTH(`c`),`c`)"


def test_a_long_value_that_cannot_be_read_makes_the_row_unreadable() -> None:
    # Not IFNULL, which would take it for a NULL.
    assert _row(Column("c", "text", "text", is_nullable=True)) == "CONCAT('#',IF(`c` IS NULL,'-',SHA2(`c`,256)))"


@pytest.mark.parametrize(
    ("kind", "other", "short"),
    [
        ("int(5) zerofill", "int", "`c`+0"),
        ("year", "year", "`c`+0"),
        ("bit(8)", "bit(8)", "CAST(`c` AS UNSIGNED)"),
        ("decimal(9,2)", "decimal(9,4)", "CAST(`c` AS DECIMAL(65,4))"),
        ("decimal(9,4)", "decimal(9,2)", "`c`"),
        ("int", "decimal(9,2)", "CAST(`c` AS DECIMAL(65,2))"),
        ("uuid", "binary(16)", "HEX(CAST(`c` AS BINARY))"),
        ("binary(16)", "uuid", "HEX(`c`)"),
    ],
)
def test_a_type_and_a_wider_one_have_the_same_text(kind: str, other: str, short: str) -> None:
    assert _text(kind, other).short == short


def test_a_floating_point_number_is_its_bytes_on_both_flavours() -> None:
    for sides in (_MARIADB, _MYSQL):
        text = _text("double", sides=sides)
        assert (text.form, text.value) == (TextForm.REAL, "CAST(POINT(`c`,0) AS BINARY)")
        assert text.short == ("ISNULL(`c`)" if _column("double").is_nullable else "")


def test_the_sign_of_zero_counts_where_both_servers_keep_it() -> None:
    across = _text("double", sides=_ACROSS)
    assert (across.form, across.value) == (TextForm.REAL_WITHOUT_SIGN_OF_ZERO, "CAST(POINT(`c`+0e0,0) AS BINARY)")


def test_a_rounded_number_has_the_digits_that_a_server_shows() -> None:
    text = _text("float(7,3)")
    assert (text.form, text.digits) == (TextForm.ROUNDED_REAL, 3)
    assert _text("float(7,3)", sides=_ACROSS).form is TextForm.ROUNDED_REAL_WITHOUT_SIGN_OF_ZERO


def test_a_rounded_number_cannot_be_compared_with_one_of_other_digits() -> None:
    for other in ("float", "float(7,4)"):
        assert value_text(_column("float(7,3)"), _column(other), _MARIADB) is None


def test_an_enum_is_a_number_where_the_members_have_the_same_numbers() -> None:
    few, more, others = (_column(f"enum({m})") for m in ("'a','b'", "'a','b','c'", "'b','a'"))
    found = [value_text(few, other, _MARIADB) for other in (more, others)]
    assert [text.form for text in found if text] == [TextForm.NUMBER, TextForm.ONLY_IN_SQL]


def test_the_error_value_of_an_enum_is_not_its_empty_member() -> None:
    text = value_text(_column("enum('','a')"), _column("enum('a','')"), _MARIADB)
    assert text is not None
    assert text.short.startswith("CONCAT(IF(CAST(`c` AS UNSIGNED)=0,'0:','')")


def test_text_is_converted_only_if_the_charsets_differ() -> None:
    latin, wide = (_column("varchar(9)", charset=charset) for charset in ("latin1", "utf8mb4"))
    same, other = value_text(latin, latin, _MARIADB), value_text(latin, wide, _MARIADB)
    assert same is not None
    assert other is not None
    assert same.value == "`c`"
    assert other.value == "CAST(CONVERT(`c` USING utf8mb4) AS BINARY)"


def test_fractions_are_compared_with_the_digits_of_the_longer_ones() -> None:
    text = value_text(_column("datetime(3)", digits=3), _column("datetime(6)", digits=6), _MARIADB)
    assert text is not None
    assert (text.short, text.digits) == ("CAST(`c` AS DATETIME(6))", 6)


@pytest.mark.parametrize(
    ("kind", "other", "sides"),
    [("time", "datetime", _MARIADB), ("timestamp", "datetime", _ACROSS), ("int", "varchar(9)", _MARIADB),
     ("json", "int", _ACROSS), ("point", "text", _MARIADB), ("uuid", "inet6", _MARIADB)],
)  # fmt: skip
def test_values_without_a_common_text_are_not_compared(kind: str, other: str, sides: Sides) -> None:
    assert value_text(_column(kind), _column(other), sides) is None
