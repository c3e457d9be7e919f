"""Make the Python source that turns the unpacked value of a column into a literal, for each type.

The sources are templates. `{v}` and `{w}` are replaced by the names of the variables with the unpacked values; for
strings `{v}` is the slice with the bytes. `{i}` is replaced by a suffix that makes a name unique. All other names are
global names of the compiled function: the `names` of the rendering, or names that every function has.

For an INT the expression is `b'%d' % {v}`. For a DECIMAL(10,2), stored in 5 bytes, it is

    b'%b%d%b' % (sign{i}, (g{i}_0_0 - 2147483648), CENTS[g{i}_1_0])

after the statements

    g{i}_0_0, g{i}_1_0, = cut_IB({v})
    sign{i} = b''
    if g{i}_0_0 < 2147483648: sign{i} = b'-'; g{i}_0_0 ^= 4294967295; g{i}_1_0 ^= 255
    if g{i}_0_0 >= 2247483648: raise ValueError('a DECIMAL has invalid digits')
"""

from __future__ import annotations

import struct
from binascii import hexlify
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.core.column_types import FIXED_BINARIES, TypeCode
from replica_cli.decoder import numbers, strings, temporal
from replica_cli.decoder.form import Form
from replica_cli.decoder.json_binary import json_key, json_text, json_value
from replica_cli.decoder.json_documents import text_key, text_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.table import Column
    from replica_cli.decoder.storage import Cell, Storage


@dataclass(frozen=True, slots=True)
class Rendering:
    """The source of a literal: statements that run first, the expression, and the global names that both use.

    `pattern` and `values` are for formatting many literals with one `%`: `pattern % (values)` gives the same bytes. If
    `values` is empty, the value is the expression. `null` is the source of what the column gives if it is NULL.
    """

    expression: str
    statements: tuple[str, ...] = ()
    names: dict[str, object] = field(default_factory=dict)
    pattern: str = "%b"
    values: str = ""
    null: str = "NULL"


_NUMBER = Rendering("b'%d' % {v}", pattern="%d", values="{v}")
_NUMBER_OF_THREE = Rendering("b'%d' % ({v} | {w} << 16)", pattern="%d", values="{v} | {w} << 16")
_GROUP_CODES = {1: "B", 2: "H", 4: "I"}
_BIG_ENDIAN: dict[str, object] = {"big": int.from_bytes}


def rendering_of(cell: Cell, form: Form) -> Rendering:
    """Return the source of a column's literal. Call `storage_of` first: it refuses types that are not known."""
    render = _RENDERINGS.get(cell.code)
    return render(cell) if render else _RENDERINGS_BY_FORM[cell.code](cell, form)


def raw_of(storage: Storage) -> Rendering:
    """Return the source of a column in the form RAW: what the event holds, without a conversion to a literal."""
    # The literal NULL would be equal to the text 'NULL'.
    return Rendering("{v}" if storage.is_sized or len(storage.codes) == 1 else "({v}, {w})", null="None")


def _tiny(cell: Cell) -> Rendering:
    if cell.is_unsigned:
        return Rendering("UNSIGNED_BYTES[{v}]", names={"UNSIGNED_BYTES": numbers.UNSIGNED_BYTES})
    return Rendering("SIGNED_BYTES[{v}]", names={"SIGNED_BYTES": numbers.SIGNED_BYTES})


def _decimal(cell: Cell) -> Rendering:
    precision, scale = cell.metadata >> 8, cell.metadata & 0xFF
    sides, checks = [], []
    group_sizes: list[tuple[str, int]] = []
    for side, groups in enumerate(numbers.decimal_groups(precision, scale)):
        terms, digits_after = [], sum(groups)
        for at, digits in enumerate(groups):
            name = f"g{{i}}_{side}_{at}"
            # The highest bit of the first group is the sign.
            value, sign = name, 0
            if not group_sizes:
                sign = 1 << numbers.group_size(digits) * 8 - 1
                value = f"({name} - {sign})"
            group_sizes.append((name, numbers.group_size(digits)))
            checks.append(f"{name} >= {sign + 10**digits}")
            digits_after -= digits
            terms.append(f"{value} * {10**digits_after}" if digits_after else value)
        sides.append(" + ".join(terms) or "0")
    lines, names = _groups(group_sizes)
    pattern, values = "%b%d", f"sign{{i}}, {sides[0]}"
    if scale == 2:
        # The most common scale. A table is several times faster than formatting with a width. The table needs no check:
        # it raises IndexError for a value that is too large.
        checks.pop()
        pattern, values, names["CENTS"] = f"{pattern}%b", f"{values}, CENTS[{sides[1]}]", numbers.CENTS
    elif scale:
        pattern, values = f"{pattern}.%0{scale}d", f"{values}, {sides[1]}"
    if checks:
        lines.append(f"if {' or '.join(checks)}: raise ValueError('a DECIMAL has invalid digits')")
    return Rendering(f"b'{pattern}' % ({values})", tuple(lines), names, pattern, values)


def _groups(group_sizes: list[tuple[str, int]]) -> tuple[list[str], dict[str, object]]:
    """Return the statements that cut a DECIMAL into groups and invert a negative one, and their global names.

    The argument has the name and the size in bytes of each group. The statements set the sign too.
    """
    listed = "".join(f"{name}, " for name, _ in group_sizes)
    codes = [_GROUP_CODES.get(size) for _, size in group_sizes]
    if None in codes:
        shift, total = sum(size for _, size in group_sizes) * 8, []
        for _, size in group_sizes:
            shift -= size * 8
            total.append(f"d{{i}} >> {shift} & {(1 << size * 8) - 1}")
        lines, names = ["d{i} = big({v})", f"{listed}= {', '.join(total)},"], dict(_BIG_ENDIAN)
    else:
        shape = "".join(code for code in codes if code)
        lines, names = [f"{listed}= cut_{shape}({{v}})"], {f"cut_{shape}": struct.Struct(f">{shape}").unpack}
    first, size = group_sizes[0]
    inverted = "; ".join(f"{name} ^= {(1 << size * 8) - 1}" for name, size in group_sizes)
    is_negative = f"{first} < {1 << size * 8 - 1}"
    return [*lines, "sign{i} = b''", f"if {is_negative}: sign{{i}} = b'-'; {inverted}"], names


def _fraction(digits: int) -> tuple[tuple[str, ...], str, str, dict[str, object]]:
    """Return what the source for a time with a fraction of `digits` digits needs.

    It is: the statements that move the fraction from `x` to `f`, the name of the table of seconds, the source of what
    follows the seconds, and the global names.
    """
    if not digits:
        return (), "LAST_SECONDS", "", {"LAST_SECONDS": temporal.LAST_SECONDS}
    bits, unit = (digits + 1) // 2 * 8, 10 if digits % 2 else 1
    lines = [f"f{{i}} = x{{i}} & {(1 << bits) - 1}", f"x{{i}} >>= {bits}"]
    unfit = f"f{{i}} >= {10**digits * unit}" + (" or f{i} % 10" if unit == 10 else "")
    lines.append(f"if {unfit}: raise ValueError('a fraction of a second has invalid digits')")
    divided = "f{i} // 10" if unit == 10 else "f{i}"
    return tuple(lines), "SECONDS", f' + b"%0{digits}d\'" % ({divided})', {"SECONDS": temporal.SECONDS}


def _parts(*texts: str) -> tuple[str, str]:
    """Return the pattern and the values of expressions that are joined with ` + `."""
    values = " + ".join(texts).split(" + ")
    return "%b" * len(values), ", ".join(values)


def _datetime(cell: Cell) -> Rendering:
    if not cell.metadata:
        return _whole_datetime()
    cut, seconds, fraction, names = _fraction(cell.metadata)
    first = f"x{{i}} = big({{v}}) - {0x8000000000 << (cell.metadata + 1) // 2 * 8}"
    clock = f"DATETIME_MINUTES[x{{i}} >> 6 & 2047] + {seconds}[x{{i}} & 63]{fraction}"
    names |= {"DATETIME_DAYS": temporal.DATETIME_DAYS, "DATETIME_MINUTES": temporal.DATETIME_MINUTES, **_BIG_ENDIAN}
    day = "DATETIME_DAYS[x{i} >> 17]"
    return Rendering(f"{day} + {clock}", (first, *cut), names, *_parts(day, clock))


def _whole_datetime() -> Rendering:
    """Return the source for a DATETIME without a fraction, the most common kind: its bytes are looked up in tables."""
    day, clock = "RAW_DAYS[{v} & 0xFEFFFF]", "RAW_MINUTES[{v} >> 16 & 0xFF01 | {w} & 0xC0] + LAST_SECONDS[{w} & 63]"
    names: dict[str, object] = {
        "RAW_DAYS": temporal.RAW_DAYS,
        "RAW_MINUTES": temporal.RAW_MINUTES,
        "LAST_SECONDS": temporal.LAST_SECONDS,
    }
    return Rendering(f"{day} + {clock}", (), names, *_parts(day, clock))


def _timestamp(digits: int, number: str) -> Rendering:
    """Return the source for a TIMESTAMP; `number` is the source of its seconds and fraction as one number."""
    cut, seconds, fraction, names = _fraction(digits)
    clock = f"DAY_MINUTES[x{{i}} % 86400 // 60] + {seconds}[x{{i}} % 60]{fraction}"
    # In MariaDB second 0 with a fraction is a valid time. Only a value of all zero bits is the zero timestamp.
    is_moment = "x{i} or f{i}" if digits else "x{i}"
    names |= {"TIMESTAMP_DAYS": temporal.TIMESTAMP_DAYS, "DAY_MINUTES": temporal.DAY_MINUTES, **_BIG_ENDIAN}
    expression = f"(TIMESTAMP_DAYS[x{{i}} // 86400] + {clock} if {is_moment} else {temporal.zero_timestamp(digits)!r})"
    return Rendering(expression, (f"x{{i}} = {number}", *cut), names)


def _old_timestamp(cell: Cell) -> Rendering:
    digits = cell.column.fraction_digits
    return _cached("OLD_TIMESTAMP", temporal.old_timestamp_text, digits) if digits else _timestamp(0, "{v}")


def _cached(name: str, make: Callable[[bytes, int], bytes], digits: int) -> Rendering:
    """Return the source of a look-up in a cache of texts by their bytes: for types too rare for source of their own."""
    texts: temporal.Texts[bytes] = temporal.Texts(lambda raw: make(raw, digits))
    return Rendering(f"{name}_{digits}[{{v}}]", names={f"{name}_{digits}": texts})


def _json(cell: Cell, form: Form) -> Rendering:
    if cell.column.data_type != "json":
        return _literal("json{i}", cell.column, form, ("json{i} = json_text({v})",), {"json_text": json_text})
    if form is Form.VALUE:
        return Rendering("json_value({v})", names={"json_value": json_value})
    return Rendering("json_key({v})", names={"json_key": json_key})


def _fixed(cell: Cell, form: Form) -> Rendering:
    """Return the source for the types that the log has as STRING: CHAR, BINARY, ENUM, SET and FIXED_BINARIES."""
    column, (real, length) = cell.column, cell.string
    if real == TypeCode.SET and length == 8 and form is Form.KEY:
        # The server compares a SET as a signed number, although it accepts its value as an unsigned one.
        return Rendering("b'%d' % ({v} - (({v} >> 63) << 64))")
    if real != TypeCode.STRING:
        return _NUMBER_OF_THREE if length == 3 else _NUMBER
    if column.data_type == "binary" or column.data_type in FIXED_BINARIES:
        # The event leaves out trailing zero bytes, but the server finds no row by a key without them.
        return _literal("full{i}", column, form, (f"full{{i}} = {{v}}.ljust({length}, ZERO)",), {"ZERO": b"\0"})
    return _literal("{v}", column, form)


def _varying(cell: Cell, form: Form) -> Rendering:
    return _literal("{v}", cell.column, form)


def _compressed(cell: Cell, form: Form) -> Rendering:
    return _literal("plain{i}", cell.column, form, ("plain{i} = unpack({v})",), {"unpack": strings.unpack})


def _literal(
    value: str,
    column: Column,
    form: Form,
    statements: tuple[str, ...] = (),
    names: dict[str, object] | None = None,
) -> Rendering:
    """Return the source of a string's literal; `value` is the source of its bytes."""
    names = names or {}
    if column.data_type == "json":
        make, name = (text_value, "text_value") if form is Form.VALUE else (text_key, "text_key")
        return Rendering(f"{name}({value})", statements, {**names, name: make})
    if form is Form.VALUE:
        # The check is in the source itself: most values need no escape, and two searches for a byte cost less than a
        # call.
        escaped = f"{value} if 39 not in {value} and 92 not in {value} else escape({value})"
        names = {**names, "escape": strings.escape}
        return Rendering(f"b\"'%b'\" % ({escaped})", statements, names, "'%b'", escaped)
    key: dict[str, object] = {"KEY{i}": strings.key_template(column.charset), "hexlify": hexlify}
    return Rendering(f"KEY{{i}} % hexlify({value})", statements, {**names, **key})


_RENDERINGS: dict[int, Callable[[Cell], Rendering]] = {
    TypeCode.TINY: _tiny,
    TypeCode.YEAR: lambda _: Rendering("YEARS[{v}]", names={"YEARS": numbers.YEARS}),
    TypeCode.SHORT: lambda _: _NUMBER,
    TypeCode.INT24: lambda _: _NUMBER_OF_THREE,
    TypeCode.LONG: lambda _: _NUMBER,
    TypeCode.LONGLONG: lambda _: _NUMBER,
    TypeCode.FLOAT: lambda _: Rendering("real({v})", names={"real": numbers.real_literal}),
    TypeCode.DOUBLE: lambda _: Rendering("real({v})", names={"real": numbers.real_literal}),
    TypeCode.NEWDECIMAL: _decimal,
    TypeCode.BIT: lambda _: Rendering("b'%d' % big({v})", names=_BIG_ENDIAN),
    TypeCode.DATE: lambda _: Rendering("DAYS[{v} | {w} << 16]", names={"DAYS": temporal.DAYS}),
    TypeCode.NEWDATE: lambda _: Rendering("DAYS[{v} | {w} << 16]", names={"DAYS": temporal.DAYS}),
    TypeCode.DATETIME2: _datetime,
    TypeCode.TIMESTAMP2: lambda cell: _timestamp(cell.metadata, "big({v})"),
    TypeCode.TIME2: lambda cell: _cached("TIME", temporal.time_text, cell.metadata),
    TypeCode.TIMESTAMP: _old_timestamp,
    TypeCode.DATETIME: lambda c: _cached("OLD_DATETIME", temporal.old_datetime_text, c.column.fraction_digits),
    TypeCode.TIME: lambda c: _cached("OLD_TIME", temporal.old_time_text, c.column.fraction_digits),
}
_RENDERINGS_BY_FORM: dict[int, Callable[[Cell, Form], Rendering]] = {
    TypeCode.STRING: _fixed,
    TypeCode.ENUM: _fixed,
    TypeCode.SET: _fixed,
    TypeCode.VARCHAR: _varying,
    TypeCode.VARCHAR_COMPRESSED: _compressed,
    TypeCode.BLOB: _varying,
    TypeCode.BLOB_COMPRESSED: _compressed,
    TypeCode.GEOMETRY: _varying,
    TypeCode.JSON: _json,
    TypeCode.VECTOR: _varying,
}
