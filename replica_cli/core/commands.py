"""Commands in messages and hints, written so that they work as they are typed.

An engine writes the command in backquotes and knows neither `--secondary` nor `--env-file`. The boundary that shows the
text knows the command line: `fill` adds what was given there, quoted for the shell.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.printable import is_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A command ends at the next backquote that is not in quotes: a table's name may hold one.
_WORDS = "stream|transfer|pause|resume|position|drift|health"
_COMMAND = re.compile(rf"`replica[ ]((?:{_WORDS})\b(?:[^`']|'[^']*')*)`")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was typed that every further command needs as well; `secondary` if exactly one was picked."""

    env_file: str = ""
    secondary: str = ""


_typed = CommandLine()


def install_command_line(typed: CommandLine) -> None:
    """Let `fill` add these options from now on in this process: one command line a process, as with the redactor."""
    global _typed  # noqa: PLW0603 - as said
    _typed = typed


def fill(text: str, instance: str = "") -> str:
    """Return the text with the options that its commands lack: `--secondary` for the instance, and `--env-file`."""
    if "`replica " not in text:
        return text
    secondary = instance or _typed.secondary

    def completed(match: re.Match[str]) -> str:
        command = match[1].rstrip()
        if secondary and not re.search(r" --(secondary|all)\b", command):
            command += f" --secondary {shell_word(secondary)}"
        if _typed.env_file and " --env-file " not in command:
            command += f" --env-file {shell_word(_typed.env_file)}"
        return f"`replica {command}`"

    return _COMMAND.sub(completed, text)


def table_options(names: Iterable[object]) -> str:
    """Return `--table` options for tables of the primary, quoted for the shell."""
    return " ".join(f"--table {shell_word(str(name))}" for name in names)


def gone_advice(names: Sequence[object]) -> str:
    """Return what to do about tables that the secondary has and the primary has no longer, not under these names.

    Nothing of it is done on the primary: its applications use the table under the name that it has now.
    """
    excluded = ",".join(map(str, names))
    return (
        "if it was renamed on the primary, `replica transfer --table SCHEMA.NEW_NAME` copies it under its new name; "
        f"then, or if it was dropped, stop the stream, add {excluded} to REPLICA_EXCLUDE_TABLES, and `replica position "
        "reset --accept-filters` forgets the old name (the secondary keeps the old table until you drop it)"
    )


def former_name_advice(others: Sequence[str]) -> str:
    """Return what to do where the state on a secondary is of other instances than ours."""
    return (
        f"the state there is of {', '.join(others)}: if that is this secondary under a former name, give it that name "
        "again (MARIA_SECONDARY_NAMES), and nothing is copied again; if MARIA_SECONDARY_HOSTS has the server twice, "
        "leave one out"
    )


def passing_advice(instance: str, end: object) -> str:
    """Return what to type so that the stream of a secondary goes on after the transaction that ends there."""
    return f"`replica position reset --secondary {shell_word(instance)} --to {end}` passes it over"


def shell_word(text: str) -> str:
    r"""Return a word for the shell; one with control characters in the form `$'a\u000ab'` of bash and zsh."""
    if is_printable(text) and "'" not in text:
        return shlex.quote(text)
    # Every unsafe character and the quote by its code: quotes stay in pairs, which `fill` relies on.
    return "$'" + "".join(_coded(char) for char in text) + "'"


def _coded(char: str) -> str:
    if char == "\\":
        return r"\\"
    if char != "'" and is_printable(char):
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
