"""Asking before rows or positions go: on stderr, default no, never guessed."""

from __future__ import annotations

import sys

import typer

from replica_cli.core.errors import ReplicaError, UsageError


class Declined(ReplicaError):
    """The answer was no."""

    code = "declined"


def check_target(*, is_confirmed: bool, has_target: bool) -> None:
    """Refuse `--yes` without saying for whom. Raises UsageError."""
    if is_confirmed and not has_target:
        raise UsageError("`--yes` needs an explicit target", hint="add `--secondary NAME` or `--all`")


def confirm(question: str, *, is_confirmed: bool) -> None:
    """Ask, unless `--yes` was given. Raises Declined, and UsageError where there is no terminal to ask on."""
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask on", hint="add `--yes` with `--secondary NAME` or `--all` to go on"
        )
    if not typer.confirm(question, default=False, err=True):
        raise Declined("nothing was changed")
