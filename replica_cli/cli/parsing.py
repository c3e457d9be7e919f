"""Commands and groups that convert the value of an option only if it does not have its type yet."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Sequence


# In the help of an option, the name of a variable in double brackets is replaced by what the declaration says. It is
# replaced when the help is shown: the declarations take longer to load than all else that a short command loads.
_DECLARED = re.compile(r"\[\[(\w+)]]")


class Command(TyperCommand):
    """A command that does not convert values that have their type already."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the meanings and defaults of declared settings."""
        for parameter in self.params:
            help_text = getattr(parameter, "help", None)
            if help_text:
                parameter.help = _DECLARED.sub(_described, help_text)  # type: ignore[attr-defined]  # options have it
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command."""
        _convert_only_where_needed(self.get_params(ctx))
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """A group of commands that treats its own options as `Command` does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments up to the name of the command."""
        _convert_only_where_needed(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _described(match: re.Match[str]) -> str:
    from replica_cli.config.catalogue import by_variable  # noqa: PLC0415 - only a help text needs it

    setting = by_variable()[match[1]]
    default = f"; default: {setting.default}" if setting.default else ""
    return f"{setting.meaning[0].upper()}{setting.meaning[1:]}  [env: {setting.variable}{default}]"


def _convert_only_where_needed(parameters: Sequence[Any]) -> None:
    """Change parameters so that they do not convert missing values, nor values that have their type already.

    typer 0.29 makes a pydantic validator for every option of a command, given or not. To load pydantic takes longer
    than everything else that a short command does.
    """
    for parameter in parameters:
        parameter.process_value = functools.partial(_process, parameter)


def _process(parameter: Any, context: Any, value: Any) -> Any:
    # A version of typer without type descriptors converts with click only, which is fast.
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
