"""The digest of a row without a key, as Python computes it. The engine tests show that servers compute the same."""

from __future__ import annotations

import hashlib

import pytest

from replica_cli.core.table import Column, TableName
from replica_cli.sqlbuilder.rows.row_digests import RowDigest, count_digests, delete_alike, delete_digests, digest_of


def _digest(*types: str, is_mariadb: bool = True) -> RowDigest:
    columns = [Column(f"c`{n}", kind.partition("(")[0], kind) for n, kind in enumerate(types)]
    found = digest_of(columns, is_mariadb=is_mariadb)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "literal", "text"),
    [
        ("int", b"-5", b"-5"),
        ("decimal(9,2)", b"-1.50", b"-1.50"),
        ("varchar(9)", rb"'it\'s \\'", rb"it's \ "[:-1]),
        ("varchar(9)", b"'NULL'", b"NULL"),
        ("date", b"'2024-02-29'", b"2024-02-29"),
        ("double", b"1.0e0", b"1"),
        ("double", b"-0.0e0", b"-0"),
        ("double", b"0.1e0", b"0.1"),
        ("double", b"1e-14", b"0.00000000000001"),
        ("double", b"1e-15", b"0.000000000000001"),
        ("double", b"1e-16", b"1e-16"),
        ("double", b"1e15", b"1e15"),
        ("double", b"123456789012345e0", b"123456789012345"),
        ("double", b"1017554834493971.5e0", b"1017554834493971.5"),
        ("double", b"-1.7665254769326153e-123", b"-1.7665254769326153e-123"),
        ("text", b"'a'", hashlib.sha256(b"a").hexdigest().encode()),
    ],
)
def test_values_follow_their_length(kind: str, literal: bytes, text: bytes) -> None:
    expected = hashlib.sha256(b"%d:%b" % (len(text), text)).hexdigest().encode()
    assert _digest(kind).of((literal,)) == expected


def test_a_double_of_mysql_is_never_whole() -> None:
    digest = _digest("double", is_mariadb=False)
    assert digest.of((b"1.0e0",)) == hashlib.sha256(b"3:1.0").hexdigest().encode()
    assert digest.of((b"1e20",)) == hashlib.sha256(b"4:1e20").hexdigest().encode()


def test_no_two_rows_share_a_text() -> None:
    digest = _digest("varchar(9)", "varchar(9)")
    rows = [
        (b"NULL", b"'-'"),
        (b"'-'", b"NULL"),
        (b"'1:a'", b"''"),
        (b"'1:'", b"'a'"),
        (b"''", b"'1:a'"),
        (b"'a'", b"'a '"),
    ]
    assert len({digest.of(row) for row in rows}) == len(rows)


def test_types_of_which_the_text_is_not_known() -> None:
    for kind, column_type in (
        ("json", "json"),
        ("geometry", "geometry"),
        ("decimal", "decimal(9,2) unsigned zerofill"),
    ):
        assert digest_of([Column("a", kind, column_type)], is_mariadb=True) is None


def test_statements() -> None:
    name, digest = TableName("s", "t`"), RowDigest("E", ())
    assert count_digests(name, digest, [b"a", b"b"]) == (
        b"SELECT E,COUNT(*) FROM `s`.`t``` WHERE E IN ('a','b') GROUP BY 1 FOR UPDATE"
    )
    assert delete_digests(name, digest, [b"a"]) == b"DELETE FROM `s`.`t``` WHERE E IN ('a')"
    assert delete_alike(name, digest, b"a", 3) == b"DELETE FROM `s`.`t``` WHERE E='a' LIMIT 3"
