"""Builds the texts about quarantined tables: the reason, and the command to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import gone_advice, table_options

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# People read the command, so it is short; the tables that do not fit are named the next time.
_NAMED_TABLES = 10
_REFUSED = ("the copy is refused too: ", "the copy is refused: ")
_FAILED = ("the copy failed too: ", "the copy failed: ")


def with_refusal(reason: str, refusal: str) -> str:
    """Return a table's reason plus why the secondary refuses a copy of it; replaces an earlier refusal or failure."""
    return _with(reason, _REFUSED, refusal)


def with_failure(reason: str, failure: str) -> str:
    """Return a table's reason plus why its copy failed; replaces an earlier refusal or failure."""
    return _with(reason, _FAILED, failure)


def is_copy_refused(reason: str) -> bool:
    """Return True if a copy of the table was refused or failed: another copy would end in the same way."""
    return any(prefix in reason for prefix in (*_REFUSED, *_FAILED))


def copy_advice(names: Sequence[object], *, is_refused: bool = False) -> str:
    """Return the command that copies quarantined tables again; `is_refused`: the secondary refused it before."""
    pronoun = "it" if len(names) == 1 else "them"
    when = "after you correct that, " if is_refused else ""
    return f"{when}`replica transfer {table_options(names)}` copies {pronoun} again"


def quarantine_advice(names: Sequence[object], *, refused: Collection[object], gone: Collection[object]) -> str:
    """Return what to type for quarantined tables: one part for each kind of table, each with its first ten tables.

    Args:
        names: the quarantined tables.
        refused: those of which the secondary refused a copy.
        gone: those that the primary no longer has, so that they cannot be copied.
    """
    lost = [name for name in names if name in gone][:_NAMED_TABLES]
    uncopyable = [name for name in names if name in refused and name not in gone][:_NAMED_TABLES]
    others = [name for name in names if name not in gone and name not in refused][:_NAMED_TABLES]
    advice = [copy_advice(others)] if others else []
    advice += [copy_advice(uncopyable, is_refused=True)] if uncopyable else []
    advice += [f"not on the primary any more: {', '.join(map(str, lost))}: {gone_advice(lost)}"] if lost else []
    return "; ".join(advice)


def _with(reason: str, prefixes: tuple[str, str], more: str) -> str:
    before = reason
    for prefix in (*_REFUSED, *_FAILED):
        before = before.partition(prefix)[0].removesuffix("; ")
    return f"{before}; {prefixes[0]}{more}" if before else f"{prefixes[1]}{more}"
