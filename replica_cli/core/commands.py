"""Completes the `replica` commands in messages and hints, so that users can copy them to a shell as they are.

The code that writes a message puts the command in backquotes and does not know `--secondary`, `--env-file` and
`--config`. The code that shows the text calls `fill`, which adds the options that the user gave on the command line,
quoted for the shell.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.printable import is_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A command ends at the next backquote that is not in quotes: a table name may contain a backquote.
_WORDS = "stream|transfer|pause|resume|position|drift|verify|health|config"
_COMMAND = re.compile(rf"`replica[ ]((?:{_WORDS})\b(?:[^`']|'[^']*')*)`")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The options of this process that every other command needs too.

    `secondary` is set only if the user picked exactly one secondary.
    """

    env_file: str = ""
    secondary: str = ""
    config_file: str = ""


_typed = CommandLine()


def install_command_line(typed: CommandLine) -> None:
    """Set the options that `fill` adds to commands, for the whole process."""
    global _typed  # noqa: PLW0603 - a process has one command line
    _typed = typed


def fill(text: str, instance: str = "") -> str:
    """Return the text with the options that its `replica` commands lack: `--secondary`, `--env-file` and `--config`.

    The secondary is `instance`. If that is empty, it is the one secondary that the user picked.
    """
    if "`replica " not in text:
        return text
    secondary = instance or _typed.secondary

    def completed(match: re.Match[str]) -> str:
        command = match[1].rstrip()
        has_secondary = command.startswith("config") or re.search(r" --(secondary|all)\b", command)
        if secondary and not has_secondary:
            command += f" --secondary {shell_word(secondary)}"
        for option, file in (("--env-file", _typed.env_file), ("--config", _typed.config_file)):
            if file and f" {option} " not in command:
                command += f" {option} {shell_word(file)}"
        return f"`replica {command}`"

    return _COMMAND.sub(completed, text)


def table_options(names: Iterable[object]) -> str:
    """Return `--table` options for tables of the primary, quoted for the shell."""
    return " ".join(f"--table {shell_word(str(name))}" for name in names)


def gone_advice(names: Sequence[object]) -> str:
    """Return what to do about tables that the secondary has and that the primary no longer has under these names.

    The advice changes nothing on the primary, because its applications use the table under its present name.
    """
    excluded = ",".join(map(str, names))
    return (
        "if it was renamed on the primary, `replica transfer --table SCHEMA.NEW_NAME` copies it under its new name; "
        f"then, or if it was dropped, stop the stream, add {excluded} to REPLICA_EXCLUDE_TABLES, and `replica position "
        "reset --accept-filters` forgets the old name (the secondary keeps the old table until you drop it)"
    )


def former_name_advice(others: Sequence[str]) -> str:
    """Return what to do if the state schema on a secondary belongs to other instances, named in `others`."""
    return (
        f"the state schema holds the position of {', '.join(others)}: if that is a former name of this secondary, give "
        "it that name again (MARIA_SECONDARY_NAMES), and nothing is copied again; if MARIA_SECONDARY_HOSTS has the "
        "server twice, remove one"
    )


def passing_advice(instance: str, end: object) -> str:
    """Return how to make an instance's stream skip a transaction; `end` is the position at which that one ends."""
    return f"`replica position reset --secondary {shell_word(instance)} --to {end}` skips it"


def shell_word(text: str) -> str:
    r"""Return the text quoted as one shell word.

    A text with control characters or a single quote gets the form `$'a\u000ab'`, which bash and zsh understand.
    """
    if is_printable(text) and "'" not in text:
        return shlex.quote(text)
    # Unsafe characters and single quotes are written as codes, so that quotes stay in pairs: `fill` relies on pairs.
    return "$'" + "".join(_coded(char) for char in text) + "'"


def _coded(char: str) -> str:
    if char == "\\":
        return r"\\"
    if char != "'" and is_printable(char):
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
