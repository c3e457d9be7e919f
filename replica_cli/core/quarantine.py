"""The words of a quarantined table: why, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFUSED = ("the copy is refused too: ", "the copy is refused: ")
_FAILED = ("the copy failed too: ", "the copy failed: ")


def with_refusal(reason: str, refusal: str) -> str:
    """Return a table's reason with why the secondary refuses a copy of it, in place of an earlier refusal."""
    return _with(reason, _REFUSED, refusal)


def with_failure(reason: str, failure: str) -> str:
    """Return a table's reason with why its copy failed, in place of an earlier failure."""
    return _with(reason, _FAILED, failure)


def is_copy_refused(reason: str) -> bool:
    """Return True if a copy of the table was refused: the same copy would be refused again."""
    return any(mark in reason for mark in _REFUSED)


def copy_advice(names: Sequence[object], *, is_refused: bool = False) -> str:
    """Return the command that copies quarantined tables again; `is_refused`: the secondary refused that before."""
    pronoun = "it" if len(names) == 1 else "them"
    when = f"once the secondary can make {pronoun}, " if is_refused else ""
    return f"{when}`replica transfer {table_options(names)}` copies {pronoun} again"


def _with(reason: str, marks: tuple[str, str], more: str) -> str:
    before = reason
    for known in (*_REFUSED, *_FAILED):
        before = before.partition(known)[0].removesuffix("; ")
    return f"{before}; {marks[0]}{more}" if before else f"{marks[1]}{more}"
