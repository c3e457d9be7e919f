"""Compile functions that turn the bytes of row events into SQL literals.

Each function is generated as Python source for one table map and one selection of columns (`source` shows an example).
The literals are for a session with SET NAMES binary, sql_mode STRICT_ALL_TABLES,ALLOW_INVALID_DATES,
NO_AUTO_VALUE_ON_ZERO and time_zone +00:00:

- A string in the form VALUE is a quoted binary literal: the server copies its bytes into the column's charset. In the
  form KEY it names the column's charset; without that the server uses no index.
- ENUM, SET and BIT are numbers. A strict session refuses an ENUM's 0, the error value, with error 1265.
- FLOAT is the double with exactly its value. DECIMAL is exact. Dates and times are text with all digits; TIMESTAMP is
  in UTC.
- JSON is SQL that makes the same document.

Layout: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from replica_cli.core.column_types import TypeCode
from replica_cli.core.errors import CorruptEvent, Drift, UnsupportedEvent
from replica_cli.core.events import RowKind
from replica_cli.decoder.counting import can_count, counting_source
from replica_cli.decoder.errors import ColumnAbsent
from replica_cli.decoder.form import Form, Output
from replica_cli.decoder.image_source import ImageColumn, ImageSource, each_source, function_source
from replica_cli.decoder.rendering import raw_of, rendering_of
from replica_cli.decoder.storage import Cell, storage_of

if TYPE_CHECKING:
    from replica_cli.core.events import RowHead, TableMap
    from replica_cli.core.table import Column

__all__ = [
    "CountFunction", "EachBody", "EachFunction", "Form", "Output", "RowsFunction", "compile_count", "compile_each",
    "compile_pairs", "compile_rows", "compile_updates",
]  # fmt: skip

RowsFunction = Callable[[bytes, int, int], list[tuple[bytes, ...]]]
"""From (event, start, end) to one tuple of literals a row. Raises CorruptEvent and UnsupportedEvent."""

CountFunction = Callable[[bytes, int, int], int]
"""From (event, start, end) to the number of rows. Raises CorruptEvent."""

EachFunction = Callable[..., int]
"""From (event, start, end, arguments) to the number of rows. Raises CorruptEvent, and what its body raises."""


@dataclass(frozen=True, slots=True)
class EachBody:
    """The statements of a function that `compile_each` makes.

    Attributes:
        arguments: the names of the function's arguments after the event's, separated by commas.
        before: Python statements that run once, before the first row.
        each: Python statements that run for each row.
        names: the values of the global names that the statements use.
    """

    arguments: str
    before: tuple[str, ...]
    each: tuple[str, ...]
    names: dict[str, object]


# What the compiled code and the functions that it calls raise for bytes that are no valid row.
_FAULTS = (IndexError, KeyError, ValueError, OverflowError, struct.error, zlib.error)


def compile_rows(
    table: TableMap, columns: Sequence[Column], outputs: Sequence[Output], present: bytes, *, is_joined: bool = False
) -> RowsFunction:
    """Return the function for rows with one image, of INSERT and DELETE. A row gives one literal for each output.

    Args:
        table: the table map.
        columns: the columns of the secondary's catalog, one for each column of the map and in its order.
        outputs: the wanted literals, in the order of the result.
        present: the event's bitmap of the columns in the image.
        is_joined: give each row as a tuple with one item, its literals with commas between them. This takes less time.

    Raises:
        ColumnAbsent: the image does not have a column of the outputs.
        UnsupportedEvent: a column type is not known, or the image has no column.
        Drift: `columns` has not as many columns as the map.
        CorruptEvent: the bitmap or the map does not fit the number of columns.
    """
    image = _image("b", table, columns, outputs, present)
    image.is_joined = is_joined and bool(outputs)
    return _compile(table, [image])


def compile_updates(  # noqa: PLR0917  # the arguments of the two images come in pairs
    table: TableMap,
    columns: Sequence[Column],
    before: Sequence[Output],
    after: Sequence[Output],
    present: bytes,
    present_after: bytes,
) -> RowsFunction:
    """Return the function for pairs of images, of UPDATE. A tuple has the outputs of `after`, then those of `before`.

    `present` and `present_after` are the event's bitmaps of the before and the after image. Raises as `compile_rows`.
    """
    images = [_image("b", table, columns, before, present), _image("a", table, columns, after, present_after)]
    return _compile(table, images)


def compile_pairs(head: RowHead, columns: Sequence[Column], outputs: Sequence[Output]) -> RowsFunction:
    """Return the function for rows of events with one head: the outputs of the after image, then of the before image.

    An inserted or deleted row has one image, so the tuple has its outputs once. Raises as `compile_rows`.
    """
    if head.kind is RowKind.UPDATE:
        return compile_updates(head.table, columns, outputs, outputs, head.present, head.present_after)
    return compile_rows(head.table, columns, outputs, head.present)


def compile_each(
    event: RowHead, columns: Sequence[Column], key: Sequence[int], more: Sequence[int], body: EachBody
) -> EachFunction:
    """Return a function that runs the statements of `body` for each row of events with one head.

    In the statements, `key_b` is the row's key, `row_b` the bytes of its image, and `more_b` the tuple of the columns
    of `more`, if there are any. For an UPDATE these are of the before image, and `key_a`, `row_a` and `more_a` are of
    the after image. A key is a number, bytes, None, or a tuple of these. Raises as `compile_rows`.

    Args:
        event: the head of the events.
        columns: as for `compile_rows`.
        key: the ordinals of the key's columns.
        more: the ordinals of further columns.
        body: the statements.
    """
    outputs = [Output(ordinal, Form.RAW) for ordinal in (*key, *more)]
    images = [_image("b", event.table, columns, outputs, event.present)]
    if event.present_after:
        images.append(_image("a", event.table, columns, outputs, event.present_after))
    for image in images:
        image.key_count = len(key)
    source = each_source(images, body.arguments, body.before, body.each)
    return cast("EachFunction", _compile(event.table, images, source, body.names))


def compile_count(event: RowHead, columns: Sequence[Column]) -> CountFunction:
    """Return the function that counts the rows of events with one head. Raises as `compile_rows`."""
    table = event.table
    images = [_image("b", table, columns, (), event.present)]
    if event.present_after:
        images.append(_image("a", table, columns, (), event.present_after))
    if event.is_partial_json:
        images[-1].partial_bytes = (table.types.count(TypeCode.JSON) + 7) // 8
    source = counting_source(images) if can_count(images) else each_source(images, "", (), ())
    return cast("CountFunction", _compile(table, images, source))


def _image(
    tag: str, table: TableMap, columns: Sequence[Column], outputs: Sequence[Output], present: bytes
) -> ImageSource:
    count = len(table.types)
    if len(columns) != count:
        raise Drift(f"{table.name}: the event has {count} columns, the secondary's table has {len(columns)}")
    if len(present) != (count + 7) // 8 or not len(table.metadata) == len(table.nullable) == count:
        raise CorruptEvent(f"{table.name}: the bitmap of present columns does not fit {count} columns")
    wanted: dict[int, list[Form]] = {}
    for output in outputs:
        if not 0 <= output.ordinal < count or not present[output.ordinal >> 3] >> (output.ordinal & 7) & 1:
            raise ColumnAbsent(
                f"{table.name}: the row image has no column {_column_name(columns, output.ordinal)}",
                hint="set binlog_row_image=FULL on the primary",
            )
        wanted.setdefault(output.ordinal, []).append(output.form)
    image_columns = [
        _image_column(table, columns[ordinal], ordinal, wanted.get(ordinal, []))
        for ordinal in range(count)
        if present[ordinal >> 3] >> (ordinal & 7) & 1
    ]
    return ImageSource(tag, tuple(image_columns), tuple(outputs))


def _image_column(table: TableMap, column: Column, ordinal: int, forms: Sequence[Form]) -> ImageColumn:
    is_unsigned = column.is_unsigned if table.unsigned is None else table.unsigned[ordinal]
    cell = Cell(table.types[ordinal], table.metadata[ordinal], column, is_unsigned)
    try:
        storage = storage_of(cell)
        renderings = {f: raw_of(storage) if f is Form.RAW else rendering_of(cell, f) for f in forms}
    except UnsupportedEvent as error:
        raise UnsupportedEvent(f"{table.name}.{column.name}: {error.message}", hint=error.hint) from error
    return ImageColumn(ordinal, storage, table.nullable[ordinal], renderings)


def _column_name(columns: Sequence[Column], ordinal: int) -> str:
    return columns[ordinal].name if 0 <= ordinal < len(columns) else f"number {ordinal}"


def _compile(
    table: TableMap, images: list[ImageSource], source: str = "", more_names: Mapping[str, object] | None = None
) -> RowsFunction:
    if not any(image.columns for image in images):
        # Such rows have no bytes, so their number is unknown.
        raise UnsupportedEvent(f"{table.name}: the row images hold no column", hint="set binlog_row_image=FULL")

    def broken(cause: object) -> CorruptEvent:
        return CorruptEvent(f"{table.name}: a row event cannot be read: {cause}")

    source = source or function_source(images)
    names: dict[str, object] = {
        "FAULTS": _FAULTS,
        "NULL": b"NULL",
        "broken": broken,
        "little": int.from_bytes,
        **(more_names or {}),
    }
    for image in images:
        names |= image.names
    # The source consists of templates of this package and of numbers. No text from a server is in it.
    exec(compile(source, f"<rows of {len(table.types)} columns>", "exec"), names)  # noqa: S102  # compiled per table
    return cast("RowsFunction", names["rows"])
