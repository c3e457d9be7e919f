"""Writes a commented configuration file: what variables give now, and each other setting with its default.

A secret is never written. The file names the variable or the file that holds it.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.config.catalogue import COLUMNS, all_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replica_cli.config.catalogue import Path as SettingPath
    from replica_cli.config.catalogue import Setting
    from replica_cli.config.layers import Given, Layers

_WIDTH = 100
# Text that means itself in YAML without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+-]*(?<!:)")
_NULLS = frozenset({"null", "Null", "NULL"})
_HEAD = """\
# Configuration of `replica`. `replica config check --config FILE` checks it, `replica config show --config FILE`
# shows what is in effect. Options, the environment and `.env` win over this file.
# Durations: 200ms, 5s, 1m, 1h, 7d. Sizes: 65536, 4MiB. `${VAR}` and `${VAR:-default}` are replaced in values,
# `file:PATH` as a password is read from that file. A line that is commented out shows the default.
"""
_RULES = """
# What is different for some tables; the first rule that matches a table counts.
#rules:
#  - tables: [shop.audit_*]
#    ddl: quarantine
#    on_table_failure: stop
#    engine: sql
"""
_OWN = "    # Also for this secondary alone: tls, apply, transfer, batch, retry and health.max_lag, as below.\n"


def template(layers: Layers, variables: Mapping[str, str]) -> str:
    """Return the text of the file.

    Args:
        layers: what variables give.
        variables: the variables, which name the files of secrets.

    """
    writer = _Writer(layers, variables)
    lines: list[str] = [_HEAD]
    open_groups: SettingPath = ()
    has_rules = has_secondaries = False
    for setting in all_settings():
        if setting.path[0] == "rules":
            lines += [] if has_rules else [_RULES]
            has_rules = True
        elif setting.path[0] == "secondaries":
            lines += [] if has_secondaries else ["\n".join(writer.secondaries())]
            has_secondaries = True
        else:
            groups = setting.path[:-1]
            for depth, name in enumerate(groups):
                if open_groups[: depth + 1] != groups[: depth + 1]:
                    lines.append(f"{'  ' * depth}{name}:")
            open_groups = groups
            lines += [] if groups else [""]
            lines += writer.setting(setting, setting.path, "  " * len(groups))
    return re.sub(r"\n\n\n+", "\n\n", "\n".join(_with_gaps(lines))).rstrip() + "\n"


def _with_gaps(lines: list[str]) -> Iterator[str]:
    """Yield the lines, with an empty one before each outermost group."""
    for line in lines:
        if re.match(r"\w+:$", line):
            yield ""
        yield line


class _Writer:
    def __init__(self, layers: Layers, variables: Mapping[str, str]) -> None:
        self._layers = layers
        self._variables = variables

    def setting(self, setting: Setting, path: SettingPath, indent: str) -> Iterator[str]:
        """Yield the lines of one setting: its meaning, and its value or its default."""
        meaning = setting.meaning[0].upper() + setting.meaning[1:]
        yield from textwrap.wrap(meaning, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        given = self._layers.given(path)
        if given is None:
            yield f"{indent}#{path[-1]}: {'' if setting.default is None else _quoted(setting.default)}".rstrip()
        else:
            yield f"{indent}{path[-1]}: {self._value(setting, given)}"

    def secondaries(self) -> Iterator[str]:
        """Yield the lines of the list of secondaries."""
        yield "# The servers that are written"
        below = (p for p in self._layers.paths() if p[0] == "secondaries" and len(p) > 1)
        numbers = sorted({int(p[1]) for p in below})
        if not numbers:
            yield "#secondaries:\n#  - host: db2\n#    name: db2\n#    password: file:/run/secrets/db2\n"
            return
        yield "secondaries:"
        for number in numbers:
            yield from self._secondary(number)
        yield ""

    def _secondary(self, number: int) -> Iterator[str]:
        at: SettingPath = ("secondaries", number)
        sign = "-"
        for setting in all_settings():
            path = (*at, *setting.path[2:])
            given = self._layers.given(path) if setting.path[0] == "secondaries" else None
            if given is None or len(path) > 3:
                continue
            if setting.is_secret and given.origin.name.startswith(COLUMNS["password"][0]):
                yield f"    # The password comes from {given.origin.name}, which stays in use."
                continue
            yield f"  {sign} {path[-1]}: {self._value(setting, given)}"
            sign = " "
        yield _OWN.rstrip("\n")

    def _value(self, setting: Setting, given: Given) -> str:
        name = given.origin.name
        if setting.is_secret:
            if name.endswith("_FILE"):
                return _quoted(f"file:{Path(self._variables.get(name, '')).absolute()}")
            return f"${{{name}}}"
        if isinstance(given.value, tuple):
            return f"[{', '.join(map(_quoted, given.value))}]"
        text = given.value
        if setting.is_file:
            text = str(Path(text).absolute())
        return _quoted(text)


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text) and text not in _NULLS:
        return text
    quoted = json.dumps(text.replace("${", "$${"), ensure_ascii=False)
    # YAML refuses some characters that cannot be printed, and makes blanks of others.
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)
