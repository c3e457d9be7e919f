"""Reads a `.env` file with the parser of python-dotenv, and refuses every line that the parser would ignore.

`dotenv_values` ignores a line that it cannot parse, so that the variable has its default: an excluded table is copied,
or a wrong password is used. A problem never contains a part of a value, because the value may be a secret.
"""

from __future__ import annotations

import functools
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.config.catalogue import names, variables
from replica_cli.config.secret_files import warn_of_readers

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Binding

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE = re.compile(
    r"\s*(?:export[^\S\r\n]+)?(?P<name>[^\s=#]*)[^\S\r\n]*(?P<equals>=?)[^\S\r\n]*(?P<value>.*)", re.DOTALL
)
# The value of another program, such as a key, may have several lines. If one of these lines sets a variable of
# `replica`, then the quote of the value was not closed before it.
_REPLICA_LINE = re.compile(r"\n\s*(?:export\s+)?(?:MARIA|REPLICA|GRAYLOG|TRANSFER)_\w+\s*=")
_REFERENCE = re.compile(r"\$\{\w+\}")
_COMMENT = re.compile(r"\s#")


@dataclass(slots=True)
class DotFile:
    """The content of a `.env` file: values by name, problems that stop the command, and warnings that do not."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_dotfile(path: Path) -> DotFile:
    """Return the content of a file, empty if the file does not exist. Problems in a line name the file and the line."""
    dotfile = DotFile()
    text = _read_text(path, dotfile)
    if not text:
        return dotfile
    from dotenv.parser import parse_stream  # noqa: PLC0415 - without a .env, as in most containers, the start is faster

    lines: dict[str, int] = {}
    for binding in parse_stream(io.StringIO(text)):
        raw = binding.original.string
        line = binding.original.line + _line_ends(raw[: len(raw) - len(raw.lstrip())])
        file_line = f"{path}:{line}"
        if (problem := _problem(binding, raw)) is not None:
            dotfile.problems.append(f"{file_line}: {problem}")
        elif binding.key is not None and binding.value is not None:
            name, value = binding.key, _value(binding.value, raw)
            if dotfile.values.get(name, value) != value and name in names():
                problem = f"{name}: is set to another value in line {lines[name]}: keep one of the two"
                dotfile.problems.append(f"{file_line}: {problem}")
            lines.setdefault(name, line)
            dotfile.values[name] = value
            dotfile.warnings.extend(f"{file_line}: {w}" for w in _warnings(name, value, raw))
    if dotfile.values.keys() & _secrets() and (warning := warn_of_readers(path)):
        dotfile.warnings.append(warning)
    return dotfile


def _read_text(path: Path, dotfile: DotFile) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            dotfile.problems.append(f"{path}: {error.strerror}: it is a link to a file that does not exist")
        return ""
    except OSError as error:
        dotfile.problems.append(f"{path}: {error.strerror or type(error).__name__}")
        return ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("latin-1")
        dotfile.problems.append(f"{path}:{1 + _line_ends(before)}: is not UTF-8 text")
        return ""
    before, nul, _ = text.partition("\0")
    if nul:
        dotfile.problems.append(f"{path}:{1 + _line_ends(before)}: holds a NUL: save it as UTF-8 text")
        return ""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _problem(binding: Binding, raw: str) -> str | None:
    """Return why a line cannot be used, None if it can."""
    match = _LINE.match(raw)
    if match is None or not raw.strip():
        return None
    # Only a known name is shown: another word may be a part of a password.
    owner = f"{match['name']}: " if match["name"] in names() else ""
    if binding.error:
        return owner + _why_unreadable(match["value"] if match["equals"] else "", has_name=bool(match["name"]))
    text = None
    if binding.key is not None and binding.value is None:
        text = "has no value: write NAME=value, or put a # before the line"
    elif binding.key is not None and not _NAME.fullmatch(binding.key):
        text = "the text before the = is not the name of a variable"
    elif binding.key is not None and "\n" in raw.strip() and (owner or _REPLICA_LINE.search(raw.strip())):
        text = "the quote that opens here is closed in another line: a value must be on one line"
    return None if text is None else owner + text


def _why_unreadable(value: str, *, has_name: bool) -> str:
    quote = value[:1]
    if quote not in ('"', "'") or not quote:
        return "cannot be read: write NAME=value" if has_name else "has no name before the ="
    closes = re.match(rf"{quote}(?:\\.|[^{quote}\\\r\n])*{quote}", value)
    if closes is None:
        return f"the quote {quote} that opens the value is not closed"
    return f"text follows the closing quote {quote}: quote the whole value once, or not at all"


def _value(value: str, raw: str) -> str:
    # `NAME= # comment` is an empty value; python-dotenv before 1.2 returns the comment as the value.
    match = _LINE.match(raw)
    is_empty = match is not None and match["value"].startswith("#") and raw[match.start("value") - 1].isspace()
    return "" if is_empty else value


def _warnings(name: str, value: str, raw: str) -> list[str]:
    if name not in names():
        return []
    match = _LINE.match(raw)
    written = match["value"].rstrip() if match else ""
    is_quoted = written[:1] in ('"', "'")
    warnings = []
    if name in _secrets() and not is_quoted and value and _COMMENT.search(written):
        warnings.append(
            f"{name}: the text after ` #` is a comment, not a part of the value: quote the value to keep it"
        )
    if written[:1] != "'" and _REFERENCE.search(value):
        warnings.append(
            f"{name}: `${{...}}` is kept as it is and not replaced; put the value in single quotes if you want that"
        )
    return warnings


@functools.cache
def _secrets() -> frozenset[str]:
    return frozenset(v.variable for v in variables() if v.is_secret)


def _line_ends(text: str) -> int:
    return len(re.findall(r"\r\n|\n|\r", text))
