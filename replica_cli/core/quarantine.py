"""The words of a quarantined table: why, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import gone_advice, table_options

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# A command line that people read; what is left is named the next time.
_NAMED_TABLES = 10
_REFUSED = ("the copy is refused too: ", "the copy is refused: ")
_FAILED = ("the copy failed too: ", "the copy failed: ")


def with_refusal(reason: str, refusal: str) -> str:
    """Return a table's reason with why the secondary refuses a copy of it, in place of an earlier refusal."""
    return _with(reason, _REFUSED, refusal)


def with_failure(reason: str, failure: str) -> str:
    """Return a table's reason with why its copy failed, in place of an earlier failure."""
    return _with(reason, _FAILED, failure)


def is_copy_refused(reason: str) -> bool:
    """Return True if a copy of the table was refused, or failed: the same copy would end in the same way."""
    return any(mark in reason for mark in (*_REFUSED, *_FAILED))


def copy_advice(names: Sequence[object], *, is_refused: bool = False) -> str:
    """Return the command that copies quarantined tables again; `is_refused`: the secondary refused that before."""
    pronoun = "it" if len(names) == 1 else "them"
    when = "once that is changed, " if is_refused else ""
    return f"{when}`replica transfer {table_options(names)}` copies {pronoun} again"


def quarantine_advice(names: Sequence[object], *, refused: Collection[object], gone: Collection[object]) -> str:
    """Return what to type for quarantined tables, in one sentence for each kind, of the first tables of each.

    `refused`: the secondary refused a copy of them. `gone`: the primary has them no longer: nothing can be copied.
    """
    lost = [name for name in names if name in gone][:_NAMED_TABLES]
    uncopyable = [name for name in names if name in refused and name not in gone][:_NAMED_TABLES]
    others = [name for name in names if name not in gone and name not in refused][:_NAMED_TABLES]
    advice = [copy_advice(others)] if others else []
    advice += [copy_advice(uncopyable, is_refused=True)] if uncopyable else []
    advice += [f"not on the primary any more: {', '.join(map(str, lost))}: {gone_advice(lost)}"] if lost else []
    return "; ".join(advice)


def _with(reason: str, marks: tuple[str, str], more: str) -> str:
    before = reason
    for known in (*_REFUSED, *_FAILED):
        before = before.partition(known)[0].removesuffix("; ")
    return f"{before}; {marks[0]}{more}" if before else f"{marks[1]}{more}"
