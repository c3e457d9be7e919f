r"""Generate Python source that reads the row images of events with one head.

Adjacent columns of fixed size are unpacked by one call, and columns that are not wanted are skipped. For the INSERT
events of a table (id INT NOT NULL, name VARCHAR(20)), with both columns wanted as VALUE, the source is:

    def rows(data, p, end):
        found = []
        append = found.append
        try:
            while p < end:
                m = data[p:p + 1]
                p += 1
                if m == b'\xfc':
                    vb0, nb1, = u_iB(data, p)
                    p += 5
                    vb1 = data[p:(p := p + nb1)]
                    image_b = (b'%d' % vb0, b"'%b'" % (vb1 if 39 not in vb1 and 92 not in vb1 else escape(vb1)), )
                else:
                    nulls = little(m, 'little')
                    if nulls & 1: raise ValueError('a NOT NULL column is NULL')
                    vb0, = u_i(data, p)
                    p += 4
                    if nulls & 2: cb1_value = NULL
                    else:
                        nb1 = data[p]
                        p += 1
                        vb1 = data[p:(p := p + nb1)]
                        cb1_value = b"'%b'" % (vb1 if 39 not in vb1 and 92 not in vb1 else escape(vb1))
                    image_b = (b'%d' % vb0, cb1_value, )
                append(image_b)
        except FAULTS as error:
            raise broken(error) from error
        if p != end:
            raise broken('the last row does not end where the event does')
        return found

`data` is the event, `p` the offset of the next byte. The bitmap `m` has one bit for each present column, set if the
column is NULL. The name of a variable consists of a letter (v: the first unpacked value, w: the second, n: a string's
length, c: a literal), the tag of the image (b: before or only, a: after) and the ordinal of the column. `u_iB` is the
unpack function of the struct `<iB`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.decoder.form import Form, Output
    from replica_cli.decoder.rendering import Rendering
    from replica_cli.decoder.storage import Storage

_INDENT = "    "


@dataclass(frozen=True, slots=True)
class ImageColumn:
    """A column that is present in the image; `renderings` has only the forms that are wanted."""

    ordinal: int
    storage: Storage
    is_nullable: bool
    renderings: dict[Form, Rendering]


@dataclass(slots=True)
class ImageSource:
    """Makes the source that reads one image of a row.

    Attributes:
        tag: "b" for the before image or the only image, "a" for the after image. It makes variable names unique.
        columns: the columns that are present in the image, in its order.
        outputs: the wanted literals, in the order of the result.
        names: the values of the global names that the source uses. `lines` fills it.
        partial_bytes: None, or for the after image of MySQL's partial update the size of a bitmap in bytes, with one
            bit for each JSON column of the table. The image begins with a byte of options, and the bitmap follows if
            that byte is 1 (MySQL's rows_event.h). A part of a document has the layout of a full one, and another
            meaning, so only counting can use such images.
        key_count: if 0, the outputs become a tuple of literals, `image_` and the tag. Else this number of outputs
            becomes one value, `key_` and the tag; the other outputs become a tuple, `more_` and the tag; and the bytes
            of the image become `row_` and the tag.
        is_joined: the tuple has only one item, all literals with commas between them, made by one formatting.
    """

    tag: str
    columns: tuple[ImageColumn, ...]
    outputs: tuple[Output, ...]
    names: dict[str, object] = field(default_factory=dict)
    partial_bytes: int | None = None
    key_count: int = 0
    is_joined: bool = False

    @property
    def result(self) -> str:
        """Return the name of the variable with the tuple of literals."""
        return f"image_{self.tag}"

    def lines(self) -> list[str]:
        """Return the statements, without indent, that read one image at `p` and move `p` to its end."""
        if not self.columns:
            return [f"{self.result} = ()"]
        size = (len(self.columns) + 7) // 8
        # Servers set the unused bits of the last byte.
        used = (1 << len(self.columns)) - 1
        none_is_null = ((1 << size * 8) - 1 ^ used).to_bytes(size, "little")
        lines = [f"s{self.tag} = p"] if self.key_count else []
        lines += self._options()
        lines += [f"m = data[p:p + {size}]", f"p += {size}", f"if m == {none_is_null!r}:"]
        lines += _indented(self._without_nulls())
        lines += ["else:", f"{_INDENT}nulls = little(m, 'little')"]
        return lines + _indented(self._with_nulls())

    def _options(self) -> list[str]:
        """Return the statements that skip the options of a partial update."""
        if self.partial_bytes is None:
            return []
        return [
            "if data[p] > 1: raise ValueError('unknown options of a partial update')",
            f"p += 1 + data[p] * {self.partial_bytes}",
        ]

    def _without_nulls(self) -> list[str]:
        """Return the statements for an image in which no column is NULL."""
        run = _Run(self)
        lines: list[str] = []
        for column in self.columns:
            lines += run.read(column)
        lines += run.close()
        for column in self.columns:
            lines += self._statements(column)
        return [*lines, self._tuple(set())]

    def _with_nulls(self) -> list[str]:
        """Return the statements for an image in which a column is NULL: each nullable column is read by itself."""
        never_null = sum(1 << bit for bit, column in enumerate(self.columns) if not column.is_nullable)
        lines = [f"if nulls & {never_null}: raise ValueError('a NOT NULL column is NULL')"] if never_null else []
        run = _Run(self)
        for bit, column in enumerate(self.columns):
            if not column.is_nullable:
                lines += run.read(column)
                continue
            lines += run.close()
            own = _Run(self)
            reading = own.read(column)
            reading += own.close() + self._statements(column)
            reading += [
                f"{self._variable(column, form)} = {self._expression(column, form)}" for form in column.renderings
            ]
            if column.renderings:
                nulls = "; ".join(f"{self._variable(column, f)} = {r.null}" for f, r in column.renderings.items())
                lines += [f"if nulls & {1 << bit}: {nulls}", "else:", *_indented(reading)]
            else:
                lines += [f"if not nulls & {1 << bit}:", *_indented(reading)]
        lines += run.close()
        for column in self.columns:
            if not column.is_nullable:
                lines += self._statements(column)
        return [*lines, self._tuple({c.ordinal for c in self.columns if c.is_nullable})]

    def _joined(self, stored: set[int]) -> str:
        """Return the result statement for `is_joined`; `stored` as for `_tuple`."""
        by_ordinal = {column.ordinal: column for column in self.columns}
        patterns, values = [], []
        for output in self.outputs:
            column = by_ordinal[output.ordinal]
            rendering = column.renderings[output.form]
            is_stored = output.ordinal in stored
            # `_expression` must be called even if its result is not used, because it adds the global names.
            expression = self._variable(column, output.form) if is_stored else self._expression(column, output.form)
            patterns.append("%b" if is_stored else rendering.pattern)
            values.append(self._filled(rendering.values, column) if rendering.values and not is_stored else expression)
        return f"{self.result} = ({','.join(patterns).encode()!r} % ({_listed(values)}),)"

    def _tuple(self, stored: set[int]) -> str:
        """Return the statement that makes the result.

        `stored` has the ordinals of the columns whose literals are already in variables.
        """
        if self.is_joined:
            return self._joined(stored)
        by_ordinal = {column.ordinal: column for column in self.columns}
        literals = [
            self._variable(by_ordinal[o.ordinal], o.form)
            if o.ordinal in stored
            else self._expression(by_ordinal[o.ordinal], o.form)
            for o in self.outputs
        ]
        if not self.key_count:
            return f"{self.result} = ({_listed(literals)})"
        key, more = literals[: self.key_count], literals[self.key_count :]
        parts = [f"key_{self.tag} = {key[0] if len(key) == 1 else f'({_listed(key)})'}"]
        parts += [f"more_{self.tag} = ({_listed(more)})"] if more else []
        return "; ".join([*parts, f"row_{self.tag} = data[s{self.tag}:p]"])

    def _variable(self, column: ImageColumn, form: Form) -> str:
        return f"c{self.tag}{column.ordinal}_{form.value}"

    def _filled(self, template: str, column: ImageColumn) -> str:
        """Return a template of `rendering` with the names of a column's variables."""
        name = f"{self.tag}{column.ordinal}"
        return template.format(v=f"v{name}", w=f"w{name}", i=f"_{name}")

    def _expression(self, column: ImageColumn, form: Form) -> str:
        rendering = column.renderings[form]
        self.names |= {self._filled(name, column): value for name, value in rendering.names.items()}
        return self._filled(rendering.expression, column)

    def _statements(self, column: ImageColumn) -> list[str]:
        # The forms of a column may need the same statements. They run once.
        statements = dict.fromkeys(s for rendering in column.renderings.values() for s in rendering.statements)
        return [self._filled(statement, column) for statement in statements]


class _Run:
    """Adjacent bytes of fixed size that are unpacked by one call. The length of a string is the last of them."""

    def __init__(self, image: ImageSource) -> None:
        self._image = image
        self._codes = "<"
        self._variables: list[str] = []

    def read(self, column: ImageColumn) -> list[str]:
        """Add a column; return the statements that must run before the next column is added."""
        storage, name = column.storage, f"{self._image.tag}{column.ordinal}"
        if not storage.is_sized and not column.renderings:
            self._codes += f"{storage.size}x"
            return []
        self._codes += "".join(storage.codes)
        # Of a string only the length is unpacked: n, and o for the third byte of the length.
        letters = "no" if storage.is_sized else "vw"
        self._variables += [f"{letter}{name}" for letter, _ in zip(letters, storage.codes, strict=False)]
        if not storage.is_sized:
            return []
        length = f"n{name}" if len(storage.codes) == 1 else f"(n{name} | o{name} << 16)"
        take = f"v{name} = data[p:(p := p + {length})]" if column.renderings else f"p += {length}"
        return [*self.close(), take]

    def close(self) -> list[str]:
        """End the run and return the statements that unpack it."""
        codes, variables = self._codes, self._variables
        self._codes, self._variables = "<", []
        size = struct.calcsize(codes)
        if not size:
            return []
        move = f"p += {size}"
        if not variables:
            return [move]
        if codes == "<B":
            return [f"{variables[0]} = data[p]", move]
        unpack = "u_" + codes[1:]
        self._image.names[unpack] = struct.Struct(codes).unpack_from
        return [f"{', '.join(variables)}, = {unpack}(data, p)", move]


def _listed(literals: Iterable[str]) -> str:
    return "".join(f"{literal}, " for literal in literals)


def _indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line for line in lines]


def function_source(images: list[ImageSource]) -> str:
    """Return the source of `rows(data, p, end)`, which returns a list with one tuple of literals for each row.

    `images` are in the order of the event. A tuple has the literals of the last image first.
    """
    result = " + ".join(image.result for image in reversed(images))
    return _source("", images, ["found = []", "append = found.append"], [f"append({result})"], "found")


def each_source(images: list[ImageSource], arguments: str, before: Sequence[str], each: Sequence[str]) -> str:
    """Return the source of `rows(data, p, end, …)`, which runs statements for each row and returns the number of rows.

    With the arguments "seen", the statements `seen(key_b, row_b)`, and a key of one INT column, the loop is:

        while p < end:
            sb = p
            ...
            key_b = vb0; row_b = data[sb:p]
            seen(key_b, row_b)
            count += 1

    Args:
        images: the images of a row, in the order of the event.
        arguments: the names of further arguments, separated by commas.
        before: the statements that run before the first row.
        each: the statements that run for each row, after its images have been read.
    """
    return _source(
        f", {arguments}" if arguments else "", images, ["count = 0", *before], [*each, "count += 1"], "count"
    )


def _source(arguments: str, images: list[ImageSource], before: Sequence[str], each: Sequence[str], result: str) -> str:
    body = [*(line for image in images for line in image.lines()), *each]
    lines = [
        f"def rows(data, p, end{arguments}):",
        *(_INDENT + line for line in before),
        "    try:",
        "        while p < end:",
        *(_INDENT * 3 + line for line in body),
        "    except FAULTS as error:",
        "        raise broken(error) from error",
        # A slice of cut data is short without an error, but `p` is then larger than `end`.
        "    if p != end:",
        "        raise broken('the last row does not end where the event does')",
        f"    return {result}",
    ]
    return "\n".join(lines)
