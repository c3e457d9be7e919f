"""How commands take their options: a value is converted only if that changes it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(TyperCommand):
    """A command whose options are taken as the parser gives them, as far as they have their type."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line."""
        _convert_only_where_needed(self.get_params(ctx))
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """A group of commands, with its own options as those of a `Command`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words up to the command's name."""
        _convert_only_where_needed(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _convert_only_where_needed(parameters: Sequence[Any]) -> None:
    """Let parameters take a value of their type as it is, and one that was not given.

    typer 0.29 makes a validator of pydantic for every option of a command, given or not, and loading pydantic takes
    longer than all else that a short command does.
    """
    for parameter in parameters:
        parameter.process_value = functools.partial(_process, parameter)


def _process(parameter: Any, context: Any, value: Any) -> Any:
    # A typer that knows no such description converts by click alone, which is cheap.
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if kind is Path and isinstance(value, str):
        value = Path(value)
    if parameter.required or not _has_type(value, kind):
        return type(parameter).process_value(parameter, context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)


def _has_type(value: object, kind: object) -> bool:
    if kind == list[str] and isinstance(value, list | tuple):
        return all(type(each) is str for each in value)
    return value is None or type(value) is kind or (isinstance(kind, type) and isinstance(value, kind))
