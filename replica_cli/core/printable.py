r"""Makes text from a server safe for a terminal, a journal and a log: control characters are written out, as `\x1b`.

Other people choose the names of tables, columns and users, and the texts of errors. An ESC sequence in them could
rewrite the screen, a line end could begin a second log record, and a bidirectional override could show a false name.
"""

from __future__ import annotations

import dataclasses
import re
from enum import Enum
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Controls (C0, DEL, C1), format characters that show nothing (bidirectional overrides, zero width, tags), line and
# paragraph separators, and halves of surrogate pairs.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_ONE_LINE = re.compile(f"[{_UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    """Return the text as one line, with each unsafe character written out."""
    return _ONE_LINE.sub(_written_out, text)


def printable_lines(text: str) -> str:
    """Return the text with its line ends, and with every other unsafe character written out as by `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    r"""Return a JSON text in which all unsafe characters are escaped as `\uXXXX`.

    The encoder itself does not escape C1 and format characters. Line ends stay, as they are the layout of the text.
    """
    return "\n".join(_ONE_LINE.sub(_json_escape, line) for line in text.split("\n"))


def is_printable(text: str) -> bool:
    """Return True if `printable` does not change the text."""
    return _ONE_LINE.search(text) is None


def each_text(value: T, change: Callable[[str], str]) -> T:
    """Return a value with `change` applied to every text in its nested dataclasses, tuples, lists and dict values."""
    return cast("T", _changed(value, change))


def _changed(value: object, change: Callable[[str], str]) -> object:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else change(value)
    if isinstance(value, tuple | list):
        return type(value)(_changed(each, change) for each in value)
    if isinstance(value, dict):
        return {key: _changed(each, change) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{name: _changed(each, change) for name, each in fields.items()})
    return value


def _written_out(match: re.Match[str]) -> str:
    char = match[0]
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
