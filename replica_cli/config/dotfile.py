"""Reads a `.env` file with python-dotenv's own parser, and refuses every line that the parser would leave out.

`dotenv_values` drops a line that it cannot parse, and the default counts: an excluded table is copied, or a password is
another one. Nothing of a value gets into a problem, as it may be a secret.
"""

from __future__ import annotations

import io
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.config.variables import NAMES, VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Binding

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE = re.compile(
    r"\s*(?:export[^\S\r\n]+)?(?P<name>[^\s=#]*)[^\S\r\n]*(?P<equals>=?)[^\S\r\n]*(?P<value>.*)", re.DOTALL
)
# Another program's value may have several lines, such as a key; one of ours among them was swallowed by its quote.
_OURS = re.compile(r"\n\s*(?:export\s+)?(?:MARIA|REPLICA|GRAYLOG|TRANSFER)_\w+\s*=")
_REFERENCE = re.compile(r"\$\{\w+\}")
_COMMENT = re.compile(r"\s#")
_SECRETS = frozenset(v.name for v in VARIABLES if v.is_secret)


@dataclass(slots=True)
class DotFile:
    """What a file says: values by name, problems that stop a run, and warnings that do not."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_dotfile(path: Path) -> DotFile:
    """Return what the file says; a path that is not there says nothing. Every problem names file and line."""
    found = DotFile()
    text = _read_text(path, found)
    if not text:
        return found
    from dotenv.parser import parse_stream  # noqa: PLC0415 - most containers have no .env: start-up is spared the import

    lines: dict[str, int] = {}
    for binding in parse_stream(io.StringIO(text)):
        raw = binding.original.string
        line = binding.original.line + _line_ends(raw[: len(raw) - len(raw.lstrip())])
        place = f"{path}:{line}"
        if (problem := _problem(binding, raw)) is not None:
            found.problems.append(f"{place}: {problem}")
        elif binding.key is not None and binding.value is not None:
            name, value = binding.key, _value(binding.value, raw)
            if found.values.get(name, value) != value and name in NAMES:
                problem = f"{name}: is set to another value in line {lines[name]}: keep one of the two"
                found.problems.append(f"{place}: {problem}")
            lines.setdefault(name, line)
            found.values[name] = value
            found.warnings.extend(f"{place}: {w}" for w in _warnings(name, value, raw))
    if found.values.keys() & _SECRETS and (warning := warn_of_readers(path)):
        found.warnings.append(warning)
    return found


def warn_of_readers(path: Path) -> str | None:
    """Return a warning where every user of the machine can read or change a file with secrets, else None.

    A file system that is mounted read-only, such as that of a container's secrets, takes no chmod; a folder that others
    may not enter hides its files.
    """
    try:
        mode = path.stat().st_mode
        is_fixed = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        is_reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
    except OSError:
        return None
    others = mode & (stat.S_IROTH | stat.S_IWOTH)
    if not stat.S_ISREG(mode) or is_fixed or not others or not is_reachable:
        return None
    import shlex  # noqa: PLC0415 - only for this sentence

    verb, command = "read" if others == stat.S_IROTH else "change", f"chmod o-rwx {shlex.quote(str(path))}"
    return f"{path}: every user of this machine can {verb} it, and it holds a password: `{command}`"


def _read_text(path: Path, found: DotFile) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            found.problems.append(f"{path}: {error.strerror}: it is a link to a file that is not there")
        return ""
    except OSError as error:
        found.problems.append(f"{path}: {error.strerror or type(error).__name__}")
        return ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("latin-1")
        found.problems.append(f"{path}:{1 + _line_ends(before)}: is not UTF-8 text")
        return ""
    before, nul, _ = text.partition("\0")
    if nul:
        found.problems.append(f"{path}:{1 + _line_ends(before)}: holds a NUL: save it as UTF-8 text")
        return ""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _problem(binding: Binding, raw: str) -> str | None:
    """Return why a line cannot be used, None if it can."""
    match = _LINE.match(raw)
    if match is None or not raw.strip():
        return None
    # Another word may be the rest of a password.
    owner = f"{match['name']}: " if match["name"] in NAMES else ""
    if binding.error:
        return owner + _why_unreadable(match["value"] if match["equals"] else "", has_name=bool(match["name"]))
    text = None
    if binding.key is not None and binding.value is None:
        text = "has no value: write NAME=value, or put a # before the line"
    elif binding.key is not None and not _NAME.fullmatch(binding.key):
        text = "what stands before the = is not the name of a variable"
    elif binding.key is not None and "\n" in raw.strip() and (owner or _OURS.search(raw.strip())):
        text = "the quote that opens here is closed in another line: a value has one line"
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
    # `NAME= # comment` is an empty value; python-dotenv before 1.2 took the comment for it.
    match = _LINE.match(raw)
    is_empty = match is not None and match["value"].startswith("#") and raw[match.start("value") - 1].isspace()
    return "" if is_empty else value


def _warnings(name: str, value: str, raw: str) -> list[str]:
    if name not in NAMES:
        return []
    match = _LINE.match(raw)
    written = match["value"].rstrip() if match else ""
    is_quoted = written[:1] in ('"', "'")
    found = []
    if name in _SECRETS and not is_quoted and value and _COMMENT.search(written):
        found.append(f"{name}: what follows ` #` is a comment and no part of it: quote the value to keep it")
    if written[:1] != "'" and _REFERENCE.search(value):
        found.append(
            f"{name}: `${{...}}` is kept as it is, nothing is put in its place; single quotes say that it is meant"
        )
    return found


def _line_ends(text: str) -> int:
    return len(re.findall(r"\r\n|\n|\r", text))
