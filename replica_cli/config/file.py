"""Reads a configuration file, YAML or JSON: the text of each setting, with its line.

Each scalar is taken as it is written, so `no` is the text "no" and not a boolean, and a setting means the same as in a
variable. `${VAR}` and `${VAR:-default}` in a text are replaced, and `file:PATH` as a secret is read from the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from replica_cli.config.catalogue import Path as SettingPath
from replica_cli.config.catalogue import dotted, setting_at
from replica_cli.config.layers import Findings, Given, Layer, Origin, Source, check_one_line
from replica_cli.config.secret_files import read_secret, warn_of_readers

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence
    from pathlib import Path

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_FILE = "file:"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp", "value"))
# A file of settings is small. A few lines of YAML with references to references can make billions of values.
_VALUES_LIMIT = 10_000
_DEPTH_LIMIT = 20


def read_file(
    path: Path,
    variables: Sequence[Mapping[str, str]],
    findings: Findings,
    *,
    overridden: Container[SettingPath] = (),
) -> Layer:
    """Return what a configuration file gives.

    Args:
        path: the file.
        variables: the variables that references may name; the first that has a name wins.
        findings: takes the problems; each names the file and the line.
        overridden: what sources before the file give; it is left out, with its references and files of secrets.

    """
    reader = _Reader(path, variables, findings, overridden)
    text = reader.text()
    if text is None:
        return {}
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        findings.complain(reader.place_of_error(error), f"cannot be read as YAML or JSON: {_what(error)}")
        return {}
    if root is not None:
        reader.read(root, (), 0)
    if reader.has_plain_secret and (warning := warn_of_readers(path)):
        findings.warnings.append(warning)
    return reader.layer


class _Reader:
    def __init__(
        self,
        path: Path,
        variables: Sequence[Mapping[str, str]],
        findings: Findings,
        overridden: Container[SettingPath],
    ) -> None:
        self.layer: Layer = {}
        self.has_plain_secret = False
        self._path = path
        self._variables = variables
        self._findings = findings
        self._overridden = overridden
        self._count = 0

    def text(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8-sig")
        except OSError as error:
            self._findings.complain(str(self._path), error.strerror or type(error).__name__)
        except UnicodeDecodeError:
            self._findings.complain(str(self._path), "is not UTF-8 text")
        return None

    def place_of_error(self, error: yaml.YAMLError) -> str:
        where = getattr(error, "problem_mark", None)
        return str(self._path) if where is None else f"{self._path}:{where.line + 1}"

    def read(self, node: yaml.Node, path: SettingPath, depth: int) -> None:
        self._count += 1
        if depth > _DEPTH_LIMIT or self._count > _VALUES_LIMIT:
            if self._count <= _VALUES_LIMIT + 1:
                self._complain(node, path, "has too many values, or references to itself")
            self._count = _VALUES_LIMIT + 1
            return
        if path in self._overridden:
            return
        if isinstance(node, yaml.MappingNode):
            for key, value in self._pairs(node, path):
                self.read(value, (*path, key), depth + 1)
        elif not path:
            self._complain(node, path, "is not an object of settings: write `name: value` lines")
        elif isinstance(node, yaml.SequenceNode):
            self._read_list(node, path, depth)
        elif node.tag != _NULL:
            self._read_text(node, path)

    def _pairs(self, node: yaml.MappingNode, path: SettingPath) -> Iterator[tuple[str, yaml.Node]]:
        """Yield the names and values of an object; what `<<` merges in comes first, and does not replace a name."""
        merged: dict[str, yaml.Node] = {}
        own: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in parts:
                    if isinstance(part, yaml.MappingNode):
                        merged |= {k.value: v for k, v in part.value if k.value not in merged}
                continue
            name = str(key.value)
            if name in own:
                self._complain(key, (*path, name), "is named twice in one object")
            own[name] = value
        yield from (merged | own).items()

    def _read_list(self, node: yaml.SequenceNode, path: SettingPath, depth: int) -> None:
        if all(isinstance(item, yaml.ScalarNode) for item in node.value):
            texts = tuple(self._resolved(item, path) for item in node.value)
            self.layer[path] = Given(texts, self._origin(node))
            return
        for number, item in enumerate(node.value):
            self.read(item, (*path, number), depth + 1)

    def _read_text(self, node: yaml.Node, path: SettingPath) -> None:
        if node.tag not in _PLAIN:
            self._complain(node, path, f"has the tag {node.tag}, and must be plain text")
            return
        setting = setting_at(path)
        text = self._resolved(node, path)
        if setting is not None and setting.is_secret:
            text = self._secret(node, path, text)
        elif setting is not None and setting.is_file and text:
            text = str(self._path.parent / text)
        if text or (setting is not None and setting.is_secret):
            self.layer[path] = Given(text, self._origin(node))

    def _secret(self, node: yaml.Node, path: SettingPath, text: str) -> str:
        written = str(node.value)
        if written.startswith(_FILE):
            file = self._path.parent / text.removeprefix(_FILE)
            label = f"{self._place(node)}: {dotted(path)}"
            secret = read_secret(str(file), label, self._findings)
            check_one_line(secret, label, self._findings)
            return secret
        if text and not _REFERENCE.search(written):
            self.has_plain_secret = True
        return text

    def _resolved(self, node: yaml.Node, path: SettingPath) -> str:
        """Return the text of a scalar in which references to variables are replaced."""
        return _REFERENCE.sub(lambda match: self._replaced(match, node, path), str(node.value))

    def _replaced(self, match: re.Match[str], node: yaml.Node, path: SettingPath) -> str:
        if match["escaped"]:
            return "${"
        if match["name"] is None:
            self._complain(node, path, "`${` begins no reference: write `${NAME}`, or `$${` for these two characters")
            return ""
        value = next((values[match["name"]] for values in self._variables if values.get(match["name"])), None)
        if value is not None:
            return value
        if match["default"] is not None:
            return match["default"]
        self._complain(node, path, f"the variable {match['name']} is not set")
        return ""

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(Source.FILE, self._place(node))

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _complain(self, node: yaml.Node, path: SettingPath, problem: str) -> None:
        label = f"{self._place(node)}: {dotted(path)}" if path else self._place(node)
        self._findings.complain(label, problem)


def _what(error: yaml.YAMLError) -> str:
    """Return what YAML says, without the line: that may be the line of a password."""
    return str(getattr(error, "problem", None) or "it has a character that is not allowed")
