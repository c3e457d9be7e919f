"""Makes the list of secondaries from variables: each variable is a list with one item for each secondary.

With MARIA_SECONDARY_HOSTS the variables make the whole list. Without it they complete the list of the configuration
file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from replica_cli.config import parsers
from replica_cli.config.catalogue import COLUMNS, Path
from replica_cli.config.layers import Findings, Given, Layer, Origin, Source, secret_given
from replica_cli.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HOSTS = COLUMNS["host"][0]


class _Column(NamedTuple):
    """The items of one variable, with its origin."""

    items: tuple[str, ...]
    origin: Origin


def secondaries_layer(
    sources: Sequence[tuple[Source, Mapping[str, str]]], file: Layer, findings: Findings
) -> tuple[Layer, Layer, list[Path]]:
    """Return the layer of the secondaries, that of the configuration file without them, and the paths that are wrong.

    Args:
        sources: the variables of the environment and of `.env`; the first wins.
        file: the layer of the configuration file.
        findings: takes the problems.

    """
    listed = {p: g for p, g in file.items() if p[0] == "secondaries"}
    rest = {p: g for p, g in file.items() if p[0] != "secondaries"}
    whose = "the configuration file"
    hosts = _texts(_HOSTS, sources)
    if hosts is not None:
        try:
            parsers.all_full(hosts.items)
        except ValueError as error:
            findings.complain(_HOSTS, str(error))
            return {}, rest, [("secondaries",)]
        if listed:
            findings.warnings.append(f"{_HOSTS}: replaces the secondaries of the configuration file")
        listed, whose = {}, _HOSTS
        _add(listed, "host", hosts)
    wrong: list[Path] = []
    count = len({p[1] for p in listed if len(p) > 1})
    for field, (variable, _) in COLUMNS.items():
        if field == "host" or not count:
            continue
        column = _secrets(variable, sources, findings) if field == "password" else _texts(variable, sources)
        if column is None:
            continue
        if len(column.items) == count:
            _add(listed, field, column)
        else:
            findings.complain(column.origin.name, f"has {counted(len(column.items), 'item')}, {whose} has {count}")
            wrong += [("secondaries", number, field) for number in range(count)]
    return listed, rest, wrong


def _add(listed: Layer, field: str, column: _Column) -> None:
    for number, item in enumerate(column.items):
        if item:  # an empty item means the default
            listed["secondaries", number, field] = Given(item, column.origin)


def _texts(variable: str, sources: Sequence[tuple[Source, Mapping[str, str]]]) -> _Column | None:
    for source, values in sources:
        if text := values.get(variable, "").strip():
            return _Column(parsers.items(text), Origin(source, variable))
    return None


def _secrets(variable: str, sources: Sequence[tuple[Source, Mapping[str, str]]], findings: Findings) -> _Column | None:
    """Return passwords. A file has one on each line, so that passwords may contain commas and blanks."""
    for source, values in sources:
        given = secret_given(variable, values, source, findings)
        if given is None:
            continue
        text = str(given.value)
        if not text:
            return None
        if given.origin.name == variable:
            return _Column(parsers.items(text), given.origin)
        # splitlines() is not used, because it also splits at other characters, such as form feeds.
        return _Column(tuple(line.removesuffix("\r") for line in text.split("\n")), given.origin)
    return None
