"""Generate Python source that counts the rows of an event.

The source reads only which values are NULL and how long strings are. For a table (id INT NOT NULL, name VARCHAR(20))
and its INSERT events it is:

    def rows(data, p, end):
        count = 0
        try:
            while p < end:
                s0, = STEPS_b[data[p:p + 1]]
                p += 5
                if s0: p += data[p] + 1
                count += 1
        except FAULTS as error:
            raise broken(error) from error
        if p != end:
            raise broken('the last row does not end where the event does')
        return count

`STEPS_b` is a `_Steps`: from the bitmap of NULLs, in which each present column has one bit, to the sizes that depend on
it. 5 is the size of the bitmap and of `id`. `s0` is the size of the length of `name`, 0 if `name` is NULL.

The bitmap of an image without a nullable column is not read: to do so for each row would double the time. A corrupt
event that has a NULL there may therefore be counted; the decoder refuses it when it reads the values.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.decoder.image_source import ImageColumn, ImageSource

# With 8 nullable columns there are at most 256 combinations of NULLs. The sizes for each are computed once.
_NULLABLE_LIMIT = 8
_INDENT = " " * 12
_LENGTHS = {
    1: "data[p]",
    2: "(data[p] | data[p + 1] << 8)",
    3: "(data[p] | data[p + 1] << 8 | data[p + 2] << 16)",
    4: "(data[p] | data[p + 1] << 8 | data[p + 2] << 16 | data[p + 3] << 24)",
}


def can_count(images: Sequence[ImageSource]) -> bool:
    """Return True if `counting_source` can be used: each image has at most 8 nullable columns, and no partial JSON."""
    return all(
        image.partial_bytes is None and sum(c.is_nullable for c in image.columns) <= _NULLABLE_LIMIT for image in images
    )


def counting_source(images: Sequence[ImageSource]) -> str:
    """Return the source of `rows(data, p, end)`, which returns the number of rows. Images are in the event's order."""
    columns = [column for image in images for column in image.columns]
    if any(column.is_nullable or column.storage.is_sized for column in columns):
        lines = [line for image in images if image.columns for line in _Counting(image).lines()]
        body = ["    count = 0", "    try:", "        while p < end:", *(_INDENT + line for line in lines)]
        body += [f"{_INDENT}count += 1", "    except FAULTS as error:", "        raise broken(error) from error"]
    else:
        width = sum(_bitmap_size(image) + sum(c.storage.size for c in image.columns) for image in images)
        body = [f"    count = (end - p) // {width}", f"    p += count * {width}"]
    refusal = "        raise broken('the last row does not end where the event does')"
    return "\n".join(["def rows(data, p, end):", *body, "    if p != end:", refusal, "    return count"])


class _Steps(dict[bytes, tuple[int, ...]]):
    """A cache from the bitmap of an image's NULLs to sums of column sizes, one sum for each part.

    A part is a fixed number of bytes, and columns (bit number and size) that add their size unless they are NULL. A
    look-up raises ValueError if a column of the bit mask `never_null` is NULL.
    """

    def __init__(self, never_null: int, parts: Sequence[tuple[int, list[tuple[int, int]]]]) -> None:
        super().__init__()
        self._never_null = never_null
        self._parts = parts

    def __missing__(self, bitmap: bytes) -> tuple[int, ...]:
        nulls = int.from_bytes(bitmap, "little")
        if nulls & self._never_null:
            raise ValueError("a NOT NULL column is NULL")
        sums = (base + sum(size for bit, size in columns if not nulls >> bit & 1) for base, columns in self._parts)
        self[bitmap] = steps = tuple(sums)
        return steps


class _Counting:
    """Makes the statements that move `p` to the end of one image.

    There is one statement for each string, because all bytes between two strings are added at once. Three attributes
    hold what is still to be added: a fixed size, the expression for a string's length at `p`, and nullable columns.
    """

    def __init__(self, image: ImageSource) -> None:
        self._image = image
        self._number = _bitmap_size(image)
        self._length_source = ""
        self._nullable_sizes: list[tuple[int, int]] = []
        self._parts: list[tuple[int, list[tuple[int, int]]]] = []
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Return the statements. Call it once."""
        image, first = self._image, ""
        for bit, column in enumerate(image.columns):
            size = column.storage.size
            if not column.storage.is_sized:
                if column.is_nullable:
                    self._nullable_sizes.append((bit, size))
                else:
                    self._number += size
                continue
            if not first and not column.is_nullable and not self._nullable_sizes and not self._lines:
                first = self._first(column)
                continue
            self._move()
            if column.is_nullable:
                self._lines.append(f"if {self._part(0, [(bit, size)])}: p += {_LENGTHS[size]} + {size}")
            else:
                self._length_source, self._number = f"{_LENGTHS[size]} + ", size
        self._move()
        return [*self._begin(first), *self._lines]

    def _first(self, column: ImageColumn) -> str:
        """Return the struct codes that unpack the bitmap and the length of the first string in one call.

        This is possible because that length always has the same offset. Return "" if another way is needed.
        """
        size = column.storage.size
        if size == 3 or not any(c.is_nullable for c in self._image.columns):
            self._move()
            self._length_source, self._number = f"{_LENGTHS[size]} + ", size
            return ""
        bitmap = _bitmap_size(self._image)
        codes = f"<{bitmap}s{self._number - bitmap}x{column.storage.codes[0]}"
        self._length_source, self._number = "n + ", self._number + size
        return codes

    def _begin(self, codes: str) -> list[str]:
        """Return the statements that look up the sums for the bitmap; `codes` are those of `_first`."""
        tag, size = self._image.tag, _bitmap_size(self._image)
        if not self._parts:
            return []
        never_null = sum(1 << bit for bit, column in enumerate(self._image.columns) if not column.is_nullable)
        self._image.names[f"STEPS_{tag}"] = _Steps(never_null, self._parts)
        variables = "".join(f"s{number}, " for number in range(len(self._parts)))
        if not codes:
            return [f"{variables}= STEPS_{tag}[data[p:p + {size}]]"]
        self._image.names[f"u_{tag}"] = struct.Struct(codes).unpack_from
        return [f"m, n = u_{tag}(data, p)", f"{variables}= STEPS_{tag}[m]"]

    def _part(self, number: int, columns: list[tuple[int, int]]) -> str:
        """Add a part of `_Steps` and return the name of the variable with its sum."""
        self._parts.append((number, columns))
        return f"s{len(self._parts) - 1}"

    def _move(self) -> None:
        """Add a statement for what is still to be added."""
        number: str | int = self._part(self._number, self._nullable_sizes) if self._nullable_sizes else self._number
        if self._length_source or number:
            self._lines.append(f"p += {self._length_source}{number}")
        self._number, self._length_source, self._nullable_sizes = 0, "", []


def _bitmap_size(image: ImageSource) -> int:
    return (len(image.columns) + 7) // 8 if image.columns else 0
