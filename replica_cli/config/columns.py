"""Makes the list of secondaries from variables: each variable is a list with one item for each secondary.

With MARIA_SECONDARY_HOSTS the variables make the whole list. Without it they complete the list of the configuration
file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from replica_cli.config import parsers
from replica_cli.config.catalogue import COLUMNS, Path
from replica_cli.config.layers import (
    FileContent,
    Findings,
    Given,
    Layer,
    Origin,
    Source,
    plain_text,
    secret_given,
    text_problem,
)
from replica_cli.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SECONDARIES: Path = ("secondaries",)
_HOSTS = COLUMNS["host"][0]


class Column(NamedTuple):
    """The items of one variable, with its origin."""

    items: tuple[str, ...]
    origin: Origin


def read_columns(sources: Sequence[tuple[Source, Mapping[str, str]]], findings: Findings) -> dict[str, Column]:
    """Return the columns that variables give, by the name of the setting.

    Args:
        sources: the variables of the environment and of `.env`; the first wins.
        findings: takes the problems.

    """
    columns: dict[str, Column] = {}
    for field, (variable, _) in COLUMNS.items():
        read = _secrets if field == "password" else _texts
        if (column := read(variable, sources, findings)) is not None:
            columns[field] = column
    return columns


def overridden_by(columns: Mapping[str, Column]) -> frozenset[Path]:
    """Return the paths in the configuration file that columns replace."""
    if "host" in columns:
        return frozenset({_SECONDARIES})
    return frozenset(
        (*_SECONDARIES, number, field)
        for field, column in columns.items()
        for number, item in enumerate(column.items)
        if item
    )


def secondaries_layer(
    columns: Mapping[str, Column], file: FileContent, findings: Findings
) -> tuple[Layer, Layer, list[Path]]:
    """Return the layer of the secondaries, that of the configuration file without them, and the paths that are wrong.

    Args:
        columns: what variables give.
        file: what the configuration file gives.
        findings: takes the problems.

    """
    listed = {p: g for p, g in file.layer.items() if p[0] == "secondaries"}
    rest = {p: g for p, g in file.layer.items() if p[0] != "secondaries"}
    count, whose = file.lengths.get(_SECONDARIES, 0), "the configuration file"
    if "host" in columns:
        hosts = columns["host"]
        try:
            parsers.all_full(hosts.items)
        except ValueError as error:
            findings.complain(_HOSTS, str(error))
            return {}, rest, [_SECONDARIES]
        if count:
            findings.warnings.append(f"{_HOSTS}: replaces the secondaries of the configuration file")
        listed, count, whose = {}, len(hosts.items), _HOSTS
    wrong: list[Path] = []
    for field, column in columns.items():
        if not count:
            continue
        if len(column.items) == count:
            _add(listed, field, column)
        else:
            findings.complain(column.origin.name, f"has {counted(len(column.items), 'item')}, {whose} has {count}")
            wrong += [(*_SECONDARIES, number, field) for number in range(count)]
    return listed, rest, wrong


def _add(listed: Layer, field: str, column: Column) -> None:
    for number, item in enumerate(column.items):
        if item:  # an empty item means the default
            listed[(*_SECONDARIES, number, field)] = Given(item, column.origin)


def _texts(variable: str, sources: Sequence[tuple[Source, Mapping[str, str]]], findings: Findings) -> Column | None:
    for source, values in sources:
        if text := plain_text(variable, values, findings):
            return Column(parsers.items(text), Origin(source, variable))
    return None


def _secrets(variable: str, sources: Sequence[tuple[Source, Mapping[str, str]]], findings: Findings) -> Column | None:
    """Return passwords. A file has one on each line, so that passwords may contain commas and blanks."""
    for source, values in sources:
        given = secret_given(variable, values, source, findings)
        if given is None:
            continue
        text = str(given.value)
        if not text:
            return None
        is_variable = given.origin.name == variable
        # splitlines() is not used, because it also splits at other characters, such as form feeds.
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        items = parsers.items(text) if is_variable else tuple(lines)
        for number, item in enumerate(items, 1):
            if problem := text_problem(item, is_secret=True):
                findings.complain(f"{given.origin.name}: item {number}", problem)
        return Column(items, given.origin)
    return None
