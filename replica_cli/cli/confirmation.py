"""Asks on stderr before rows or positions are deleted. The default answer is no."""

from __future__ import annotations

import sys

import typer

from replica_cli.core.errors import ReplicaError, UsageError


class Declined(ReplicaError):
    """The user answered no."""

    code = "declined"


def check_target(*, is_confirmed: bool, has_target: bool) -> None:
    """Refuse `--yes` if the user did not name the target.

    Raises:
        UsageError: if `--yes` was given without `--secondary` and `--all`.
    """
    if is_confirmed and not has_target:
        raise UsageError("`--yes` needs an explicit target", hint="add `--secondary NAME` or `--all`")


def confirm(question: str, *, is_confirmed: bool) -> None:
    """Ask the question, unless `--yes` was given.

    Raises:
        Declined: if the answer is no.
        UsageError: if stdin is not a terminal.
    """
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask on", hint="add `--yes` with `--secondary NAME` or `--all` to go on"
        )
    if not typer.confirm(question, default=False, err=True):
        raise Declined("nothing was changed")
