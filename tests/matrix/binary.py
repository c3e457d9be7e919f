"""Bytes: zero bytes at the end, every length of length, a large one."""

from __future__ import annotations

from tests.matrix.hard import Family, Values, each

_COLUMNS = (
    "BINARY(4)",
    "BINARY(255)",
    "VARBINARY(255)",
    "VARBINARY(256)",
    "TINYBLOB",
    "BLOB",
    "MEDIUMBLOB",
    "LONGBLOB",
)

FAMILIES = (
    Family(
        "BINARY, VARBINARY, BLOB",
        (
            Values(
                "bytes",
                _COLUMNS,
                (
                    *each(_COLUMNS, "''", "x'61620000'", "x'00'", r"'\\\''", "x'FF00FE27'", "x'20'", "NULL"),
                    ("'a'", "'b'", "'c'", "REPEAT('y', 256)", "REPEAT('z', 255)", "REPEAT(x'00FF', 32767)",
                     "REPEAT(x'5C27', 40000)", "REPEAT(x'275C00FF', 80000)"),
                ),
                keys=False,
            ),
            Values(
                "bytes_keys",
                ("BINARY(16)", "VARBINARY(20)", "BINARY(1)"),
                (
                    ("x'00'", "x'00'", "x'00'"), ("x'0100'", "''", "x'20'"), ("x'61'", "x'6100'", "x'FF'"),
                    ("x'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00'", "x'275C'", "x'5C'"),
                ),
            ),
        ),
    ),
)  # fmt: skip
