"""The catalogue of types: the layout of table maps, compared with a second list; every type can be copied."""

from __future__ import annotations

import pytest

from replica_cli.core.column_types import (
    _DATA_TYPES,
    DataType,
    Family,
    Logged,
    Metadata,
    TypeCode,
    codes_with,
    type_name,
)
from replica_cli.core.table import Column
from replica_cli.decoder.rendering import _RENDERINGS, _RENDERINGS_BY_FORM
from replica_cli.decoder.storage import _STORAGES
from replica_cli.sqlbuilder.rows.chunks import value_expression

# Codes that no server logs, or that it logs as another code: the tiny, medium and long BLOB as BLOB with metadata.
NOT_READ = {
    TypeCode.DECIMAL, TypeCode.NULL, TypeCode.TYPED_ARRAY, TypeCode.TINY_BLOB, TypeCode.MEDIUM_BLOB, TypeCode.LONG_BLOB,
    TypeCode.VAR_STRING,
}  # fmt: skip


def test_the_metadata_bytes_of_every_code() -> None:
    assert codes_with(Metadata.ONE_BYTE) == {4, 5, 17, 18, 19, 140, 242, 245, 249, 250, 251, 252, 255}
    assert codes_with(Metadata.LOW_FIRST) == {15, 16, 141}
    assert codes_with(Metadata.HIGH_FIRST) == {246, 247, 248, 253, 254}
    assert codes_with(Metadata.NONE) == {0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14}


def test_what_the_optional_metadata_lists_of_every_code() -> None:
    assert codes_with(Logged.SIGN) == {1, 2, 3, 4, 5, 8, 9, 13, 246}
    assert codes_with(Logged.CHARSET) == {15, 140, 141, 249, 250, 251, 252, 253, 254}
    assert codes_with(Logged.CHARSET_BY_MARIADB) == {255}
    assert codes_with(Logged.MEMBERS) == {247, 248}


@pytest.mark.parametrize("code", sorted(set(TypeCode) - NOT_READ), ids=type_name)
def test_a_logged_code_can_be_read(code: TypeCode) -> None:
    assert code in _STORAGES
    assert (code in _RENDERINGS) != (code in _RENDERINGS_BY_FORM)


@pytest.mark.parametrize("code", sorted(NOT_READ), ids=type_name)
def test_no_other_code_is_read(code: TypeCode) -> None:
    assert not code.data_types
    assert code not in _STORAGES


@pytest.mark.parametrize("data_type", _DATA_TYPES, ids=lambda each: each.name)
def test_a_data_type_can_be_copied_and_has_a_code(data_type: DataType) -> None:
    assert value_expression(Column("c", data_type.name, data_type.name))
    if data_type.family in (Family.LONG_TEXT, Family.LONG_BYTES):
        assert 1 <= data_type.size <= 4  # logged as BLOB
    else:
        assert [code for code in TypeCode if data_type.name in code.data_types]


def test_codes_have_names() -> None:
    assert type_name(254) == "STRING"
    assert type_name(100) == "type 100"
