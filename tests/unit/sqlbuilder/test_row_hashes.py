"""The queries that hash rows, and the sums as Python computes them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from zlib import crc32

from replica_cli.core.names import TableName
from replica_cli.core.table import Column
from replica_cli.sqlbuilder.rows.chunks import KeyPart, PagingKey
from replica_cli.sqlbuilder.rows.row_hashes import HashedTable, Joining, part_of_hash, sums_of_hash
from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn, Sides, value_text

_SIDES = Sides(is_mariadb=True, other_is_mariadb=True)
_ID = Column("id", "int", "int")


def _table(*kinds: str, key: PagingKey | None = None) -> HashedTable:
    columns = [_ID, *(Column(f"c{n}", kind.partition("(")[0], kind) for n, kind in enumerate(kinds))]
    compared = []
    for column in columns:
        text = value_text(column, Column(column.name, "json", "json") if column.data_type == "json" else column, _SIDES)
        assert text is not None
        compared.append(ComparedColumn(column, text))
    return HashedTable(TableName("s", "t"), "`s`.`t`", key, tuple(compared))


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_each_digit_of_a_hash_counts_in_one_of_the_sums() -> None:
    before = sums_of_hash(_hash(b"a"))
    for at in range(64):
        digits = list(_hash(b"a"))
        digits[at] = "0" if digits[at] != "0" else "1"
        assert sums_of_hash("".join(digits)) != before


def test_the_sums_are_made_of_four_checksums() -> None:
    digits = _hash(b"a")
    parts = [crc32(digits[at : at + 16].encode()) for at in (0, 16, 32, 48)]
    assert sums_of_hash(digits) == (parts[0] * 2**32 + parts[1], parts[2] * 2**32 + parts[3])


def test_rows_that_exchange_a_value_have_other_sums() -> None:
    # CRC32 alone is linear: it would not see this.
    one = [sums_of_hash(_hash(text)) for text in (b"1#1#a", b"1#1#b")]
    other = [sums_of_hash(_hash(text)) for text in (b"2#1#a", b"2#1#b")]
    assert sum(first for first, _ in one) != sum(first for first, _ in other)


def test_each_row_is_in_one_part() -> None:
    assert {part_of_hash(_hash(b"%d" % n), 4) for n in range(100)} == {0, 1, 2, 3}


def test_the_sums_are_queried_with_the_number_of_readable_rows() -> None:
    query = _table("varchar(9)").sums_query("`id` > 5")
    assert query.startswith("SELECT COUNT(*),SUM(")
    assert query.endswith(",COUNT(@h) FROM `s`.`t` WHERE `id` > 5")
    # The hash is computed once for each row.
    assert query.count("SHA2(") == 1


def test_rows_with_a_key_are_joined_by_xor() -> None:
    table = _table("varchar(9)")
    assert replace(table, joining=Joining.XOR).sums_query().count("BIT_XOR((CRC32(") == 2
    assert "BIT_XOR(UNHEX(@h:=SHA2(" in replace(table, joining=Joining.XOR_OF_BYTES).sums_query()


def test_rows_are_listed_in_the_order_of_their_key() -> None:
    key = PagingKey("PRIMARY", (KeyPart(_ID, is_descending=True),))
    query = _table("varchar(9)", key=key).hashes_query("`id` > 5")
    assert query.endswith(" FROM `s`.`t` WHERE `id` > 5 ORDER BY `id` DESC")


def test_each_column_has_a_hash_of_its_own() -> None:
    query = _table("varchar(9)", "double").column_hashes_query("`id` = 5")
    assert [f"`{name}`" in query for name in ("id", "c0", "c1")] == [True, True, True]
    assert query.count(",256)") == 3
