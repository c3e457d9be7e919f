"""Python source that reads one kind of row image: runs of fixed bytes in one unpacking, columns not wanted skipped."""

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
    """A column that is present in the image; `renderings` holds only the forms that are wanted."""

    ordinal: int
    storage: Storage
    is_nullable: bool
    renderings: dict[Form, Rendering]


@dataclass(slots=True)
class ImageSource:
    """The source of one image's reading: `lines` at no indent, the names that it uses, the tuple that it leaves.

    `key_count`: so many outputs become one value, `key_` and the tag, the others a tuple, `more_`; the image's own
    bytes are `row_`. 0: all outputs become a tuple of literals, `image_`.
    `partial_bytes`: before the image of a partial update stand its options, and then, where one says so, so many bytes
    with a bit for each JSON column of the table (MySQL's rows_event.h). A part of a document has the layout of a whole
    one, and another meaning.
    `is_joined`: all literals are one, with commas between them, made by one formatting.
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
        """Return the name of the tuple of literals."""
        return f"image_{self.tag}"

    def lines(self) -> list[str]:
        """Return the statements that read one image at `p` and move `p` behind it."""
        if not self.columns:
            return [f"{self.result} = ()"]
        size = (len(self.columns) + 7) // 8
        # A server sets the spare bits of the last byte.
        used = (1 << len(self.columns)) - 1
        none_is_null = ((1 << size * 8) - 1 ^ used).to_bytes(size, "little")
        lines = [f"s{self.tag} = p"] if self.key_count else []
        lines += self._options()
        lines += [f"m = data[p:p + {size}]", f"p += {size}", f"if m == {none_is_null!r}:"]
        lines += _indented(self._without_nulls())
        lines += ["else:", f"{_INDENT}nulls = little(m, 'little')"]
        return lines + _indented(self._with_nulls())

    def _options(self) -> list[str]:
        if self.partial_bytes is None:
            return []
        return [
            "if data[p] > 1: raise ValueError('unknown options of a partial update')",
            f"p += 1 + data[p] * {self.partial_bytes}",
        ]

    def _without_nulls(self) -> list[str]:
        run = _Run(self)
        lines: list[str] = []
        for column in self.columns:
            lines += run.read(column)
        lines += run.close()
        for column in self.columns:
            lines += self._statements(column)
        return [*lines, self._tuple(set())]

    def _with_nulls(self) -> list[str]:
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
            reading += [f"{self._kept(column, form)} = {self._expression(column, form)}" for form in column.renderings]
            if column.renderings:
                kept = " = ".join(self._kept(column, form) for form in column.renderings)
                lines += [f"if nulls & {1 << bit}: {kept} = NULL", "else:", *_indented(reading)]
            else:
                lines += [f"if not nulls & {1 << bit}:", *_indented(reading)]
        lines += run.close()
        for column in self.columns:
            if not column.is_nullable:
                lines += self._statements(column)
        return [*lines, self._tuple({c.ordinal for c in self.columns if c.is_nullable})]

    def _joined(self, kept: set[int]) -> str:
        by_ordinal = {column.ordinal: column for column in self.columns}
        patterns, values = [], []
        for output in self.outputs:
            column = by_ordinal[output.ordinal]
            rendering = column.renderings[output.form]
            is_kept = output.ordinal in kept
            # The expression's names are needed either way.
            expression = self._kept(column, output.form) if is_kept else self._expression(column, output.form)
            patterns.append("%b" if is_kept else rendering.pattern)
            values.append(self._filled(rendering.values, column) if rendering.values and not is_kept else expression)
        return f"{self.result} = ({','.join(patterns).encode()!r} % ({_listed(values)}),)"

    def _tuple(self, kept: set[int]) -> str:
        if self.is_joined:
            return self._joined(kept)
        by_ordinal = {column.ordinal: column for column in self.columns}
        literals = [
            self._kept(by_ordinal[o.ordinal], o.form)
            if o.ordinal in kept
            else self._expression(by_ordinal[o.ordinal], o.form)
            for o in self.outputs
        ]
        if not self.key_count:
            return f"{self.result} = ({_listed(literals)})"
        key, more = literals[: self.key_count], literals[self.key_count :]
        parts = [f"key_{self.tag} = {key[0] if len(key) == 1 else f'({_listed(key)})'}"]
        parts += [f"more_{self.tag} = ({_listed(more)})"] if more else []
        return "; ".join([*parts, f"row_{self.tag} = data[s{self.tag}:p]"])

    def _kept(self, column: ImageColumn, form: Form) -> str:
        return f"c{self.tag}{column.ordinal}_{form.value}"

    def _filled(self, template: str, column: ImageColumn) -> str:
        name = f"{self.tag}{column.ordinal}"
        return template.format(v=f"v{name}", w=f"w{name}", i=f"_{name}")

    def _expression(self, column: ImageColumn, form: Form) -> str:
        rendering = column.renderings[form]
        self.names |= {self._filled(name, column): value for name, value in rendering.names.items()}
        return self._filled(rendering.expression, column)

    def _statements(self, column: ImageColumn) -> list[str]:
        # Both forms of a column want the same statements; they run once.
        statements = dict.fromkeys(s for rendering in column.renderings.values() for s in rendering.statements)
        return [self._filled(statement, column) for statement in statements]


class _Run:
    """Adjacent fixed bytes that are unpacked by one call; the length of a string ends it."""

    def __init__(self, image: ImageSource) -> None:
        self._image = image
        self._codes = "<"
        self._variables: list[str] = []

    def read(self, column: ImageColumn) -> list[str]:
        """Add a column and return what must be done now."""
        storage, name = column.storage, f"{self._image.tag}{column.ordinal}"
        if not storage.is_sized and not column.renderings:
            self._codes += f"{storage.size}x"
            return []
        self._codes += "".join(storage.codes)
        # Of a string only the length is unpacked: n, and o for the third byte.
        letters = "no" if storage.is_sized else "vw"
        self._variables += [f"{letter}{name}" for letter, _ in zip(letters, storage.codes, strict=False)]
        if not storage.is_sized:
            return []
        length = f"n{name}" if len(storage.codes) == 1 else f"(n{name} | o{name} << 16)"
        take = f"v{name} = data[p:(p := p + {length})]" if column.renderings else f"p += {length}"
        return [*self.close(), take]

    def close(self) -> list[str]:
        """End the run and return the unpacking."""
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
    """Return the source of `rows(data, p, end)`; the images stand in the event in this order, results in reverse."""
    result = " + ".join(image.result for image in reversed(images))
    return _source("", images, ["found = []", "append = found.append"], [f"append({result})"], "found")


def each_source(images: list[ImageSource], arguments: str, before: Sequence[str], each: Sequence[str]) -> str:
    """Return the source of `rows(data, p, end, …)` that does something for each row and returns how many there were."""
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
        # A value that was cut short moved `p` behind the end all the same.
        "    if p != end:",
        "        raise broken('the last row does not end where the event does')",
        f"    return {result}",
    ]
    return "\n".join(lines)
