"""Rows a second of the compiled decoder: `python -m tests.unit.decoder.benchmark`.

A table of ten columns of the common kinds, rows all different; one core.
"""

from __future__ import annotations

import random
import struct
import time

from replica_cli.core.events import TableMap
from replica_cli.core.table import Column, TableName
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates

_ROWS = 50_000

# Type code, metadata, catalog's column: id, customer, state, price, name, mail, note, made, changed, flag.
_COLUMNS = (
    (8, 0, Column("id", "bigint", "bigint unsigned", is_nullable=False)),
    (3, 0, Column("customer", "int", "int")),
    (254, 247 << 8 | 1, Column("state", "enum", "enum('new','paid','sent')")),
    (246, 12 << 8 | 2, Column("price", "decimal", "decimal(12,2)", precision=12, scale=2)),
    (15, 256, Column("name", "varchar", "varchar(64)", charset="utf8mb4", octet_length=256)),
    (15, 100, Column("mail", "varchar", "varchar(100)", charset="latin1", octet_length=100)),
    (252, 2, Column("note", "text", "text", charset="utf8mb4", octet_length=65535)),
    (18, 0, Column("made", "datetime", "datetime")),
    (17, 3, Column("changed", "timestamp", "timestamp(3)", fraction_digits=3)),
    (1, 0, Column("flag", "tinyint", "tinyint")),
)


def _table() -> TableMap:
    return TableMap(
        table_id=1,
        name=TableName("shop", "orders"),
        body=b"",
        types=bytes(code for code, _, _ in _COLUMNS),
        metadata=tuple(metadata for _, metadata, _ in _COLUMNS),
        nullable=tuple(column.is_nullable for _, _, column in _COLUMNS),
    )


def _row(number: int, dice: random.Random, *, nulls: bool) -> bytes:
    price = ((1 << 47) + (dice.randrange(10**9) << 8) + dice.randrange(100)).to_bytes(6, "big")
    name = b"customer number %d" % dice.randrange(10**6)
    mail = b"somebody.%d@example.org" % dice.randrange(10**6)
    note = b"it is a note of some length, " * dice.randrange(1, 4)
    day = ((2000 + dice.randrange(25)) * 13 + dice.randrange(1, 13)) << 5 | dice.randrange(1, 29)
    clock = dice.randrange(24) << 12 | dice.randrange(60) << 6 | dice.randrange(60)
    made = ((1 << 39) + (day << 17) + clock).to_bytes(5, "big")
    changed = struct.pack(">IH", dice.randrange(1, 2**31), dice.randrange(1000) * 10)
    bits = 0xFC00 | (1 << 6 if nulls else 0)
    return b"".join(
        (
            struct.pack("<HqiB", bits, number, dice.randrange(-(2**31), 2**31), dice.randrange(1, 4)),
            price,
            struct.pack("<H", len(name)) + name,
            bytes([len(mail)]) + mail,
            b"" if nulls else struct.pack("<H", len(note)) + note,
            made,
            changed,
            bytes([dice.randrange(256)]),
        )
    )


def main() -> None:
    """Print the rows a second, best of three."""
    dice = random.Random(1)
    table, columns = _table(), [column for _, _, column in _COLUMNS]
    values = [Output(n, Form.VALUE) for n in range(len(columns))]
    present = b"\xff\x03"
    plain = b"".join(_row(n, dice, nulls=False) for n in range(_ROWS))
    nulls = b"".join(_row(n, dice, nulls=True) for n in range(_ROWS))
    rows = compile_rows(table, columns, values, present)
    updates = compile_updates(table, columns, [Output(0, Form.KEY)], values, present, present)
    for name, function, event, count in (
        ("INSERT, no NULL", rows, plain, _ROWS),
        ("INSERT, one NULL a row", rows, nulls, _ROWS),
        ("UPDATE, key before and all after", updates, plain, _ROWS // 2),
    ):
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            found = function(event, 0, len(event))
            best = min(best, time.perf_counter() - start)
        assert len(found) == count
        print(f"{name}: {count / best:,.0f} rows/s")
    print(b",".join(found[0]).decode())


if __name__ == "__main__":
    main()
