"""Reads a configuration file, YAML or JSON: the text of each setting, with its line.

Each scalar is taken as it is written, so `no` is the text "no" and not a boolean, and a setting means the same as in a
variable. `${VAR}` and `${VAR:-default}` in a text are replaced, and `file:PATH` as a secret is read from the file.

The form of the file (names, objects, lists, single values) is checked here for every entry, also for one that is empty
or that another source replaces. No problem shows text of the file other than names and values of settings that are no
secrets: the text at a mistake may be a password.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import yaml

from replica_cli.config.catalogue import Path as SettingPath
from replica_cli.config.catalogue import Setting, dotted, names_in, setting_at, starred
from replica_cli.config.json_nodes import compose_json
from replica_cli.config.layers import FileContent, Findings, Given, Layer, Origin, Source, text_problem
from replica_cli.config.secret_files import read_secret, warn_of_readers

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{")
_FILE = "file:"
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_KINDS = ("str", "int", "float", "bool", "timestamp", "value", "merge")
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)
# A file of settings is small. A few lines of YAML with references to references can make billions of values.
_VALUES_LIMIT = 10_000
_DEPTH_LIMIT = 20
# What the YAML library says contains names of anchors and characters of the file. These are the beginnings of what it
# says, with what to write.
_YAML_HINTS = (
    ("found undefined alias", "no anchor has this name: quote a value that begins with `*`"),
    ("found duplicate anchor", "the anchor is there twice: quote a value that begins with `&`"),
    ("mapping values are not allowed", "a second `:` is not allowed here: quote a value that contains it"),
    ("could not find expected ':'", "the `:` after a name is missing"),
    ("found character", "no value can begin with this character: quote the value, and indent with blanks"),
    ("found unknown escape", "unknown escape: write `\\\\` for a backslash, or use single quotes"),
    ("expected alphabetic or numeric", "quote a value that begins with `*`, `&` or `!`"),
)


def read_file(
    path: Path,
    variables: Sequence[Mapping[str, str]],
    findings: Findings,
    *,
    overridden: Container[SettingPath] = (),
) -> FileContent:
    """Return what a configuration file gives.

    Args:
        path: the file.
        variables: the variables that references may name; the first that has a name wins.
        findings: takes the problems; each names the file and the line.
        overridden: what sources before the file give, or a path above it; `*` is each item of a list. It is left out,
            with its references and files of secrets.

    """
    reader = _Reader(path, variables, findings, overridden)
    root = reader.root()
    if root is not None:
        reader.read(root, (), 0)
    if reader.has_plain_secret and (warning := warn_of_readers(path)):
        findings.warnings.append(warning)
    return reader.content()


class _Reader:
    def __init__(
        self,
        path: Path,
        variables: Sequence[Mapping[str, str]],
        findings: Findings,
        overridden: Container[SettingPath],
    ) -> None:
        self.has_plain_secret = False
        self._layer: Layer = {}
        self._lengths: dict[SettingPath, int] = {}
        self._wrong: list[SettingPath] = []
        self._referenced: set[str] = set()
        self._secrets: set[str] = set()
        self._path = path
        self._variables = variables
        self._findings = findings
        self._overridden = overridden
        self._count = 0

    def content(self) -> FileContent:
        return FileContent(
            self._layer, self._lengths, tuple(self._wrong), frozenset(self._referenced), frozenset(self._secrets)
        )

    def root(self) -> yaml.Node | None:
        """Return the outermost node, None if there is none or if the file cannot be read."""
        try:
            text = self._path.read_text(encoding="utf-8-sig")
        except OSError as error:
            self._unreadable(error.strerror or type(error).__name__)
            return None
        except ValueError:
            self._unreadable("is not UTF-8 text")
            return None
        try:
            if text.lstrip().startswith("{"):
                return compose_json(text)
        except (ValueError, RecursionError):
            pass  # an object in YAML may begin like one in JSON
        try:
            node: yaml.Node | None = yaml.compose(text, yaml.SafeLoader)
        except yaml.YAMLError as error:
            where = getattr(error, "problem_mark", None)
            line, column = ("", "") if where is None else (f":{where.line + 1}", f"column {where.column + 1}: ")
            self._unreadable(f"cannot be read as YAML or JSON: {column}{_hint(error)}", line)
        except RecursionError:
            self._unreadable("has too many values in one another")
        except (ValueError, OverflowError):
            self._unreadable("cannot be read as YAML or JSON: an escape such as \\U names no character")
        else:
            # A file of comments is an empty configuration.
            return None if node is not None and node.tag == _NULL else node
        return None

    def _unreadable(self, problem: str, line: str = "") -> None:
        self._findings.complain(f"{self._path}{line}", problem)
        self._wrong.append(())

    def read(self, node: yaml.Node, path: SettingPath, depth: int) -> None:
        if not self._may_read(node, path, depth):
            return
        setting, names = setting_at(path), names_in(path)
        if setting is not None:
            self._read_setting(node, path, setting)
        elif not names:
            nearest = difflib.get_close_matches(str(path[-1]), names_in(path[:-1]), n=1, cutoff=0.6)
            self._complain(node, path, "unknown setting" + (f", did you mean {nearest[0]}" if nearest else ""))
        elif node.tag == _NULL:
            return  # a group whose settings are all comments
        elif names == ("*",):
            self._read_items(node, path, depth)
        elif isinstance(node, yaml.MappingNode):
            for name, value in self._pairs(node, path, depth).items():
                self.read(value, (*path, name), depth + 1)
        else:
            self._complain(node, path, "is not an object of settings: write `name: value` lines")

    def _may_read(self, node: yaml.Node, path: SettingPath, depth: int) -> bool:
        self._count += 1
        if depth <= _DEPTH_LIMIT and self._count <= _VALUES_LIMIT:
            return True
        if self._count <= _VALUES_LIMIT + 1:
            self._complain(node, path, "has too many values, or references to itself")
        self._count = _VALUES_LIMIT + 1
        return False

    def _pairs(self, node: yaml.MappingNode, path: SettingPath, depth: int) -> dict[str, yaml.Node]:
        """Return the names and values of an object; what `<<` merges in comes first, and does not replace a name."""
        merged: dict[str, yaml.Node] = {}
        own: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(part, yaml.MappingNode):
                        self._complain(part, path, "`<<` takes an object, such as `<<: *name`")
                    elif self._may_read(part, path, depth + 1):
                        merged = self._pairs(part, path, depth + 1) | merged
            elif not isinstance(key, yaml.ScalarNode):
                self._complain(key, path, "the name of a setting must be text: quote a value that begins with `?`")
            else:
                if key.value in own:
                    self._complain(key, (*path, key.value), "is named twice in one object")
                own[key.value] = value
        return merged | own

    def _read_items(self, node: yaml.Node, path: SettingPath, depth: int) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self._complain(node, path, "must be a list: begin each item with `- `")
            return
        self._lengths[path] = len(node.value)
        for number, item in enumerate(node.value):
            at = (*path, number)
            problems = len(self._wrong)
            self.read(item, at, depth + 1)
            if self._is_overridden(at) or any(p[: len(at)] == at for p in self._layer):
                continue
            if len(self._wrong) == problems:
                self._complain(item, at, f"is empty: give at least its `{names_in(at)[0]}`")
            self._wrong.append(at)

    def _read_setting(self, node: yaml.Node, path: SettingPath, setting: Setting) -> None:
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        is_flat = all(isinstance(item, yaml.ScalarNode) for item in items)
        if setting.is_list and not is_flat:
            self._complain(node, path, "must be a list of texts")
        elif not setting.is_list and not isinstance(node, yaml.ScalarNode):
            self._complain(node, path, "has parts of its own, and must be one value: quote a text with brackets")
        elif node.tag == _NULL and setting.is_secret:
            # YAML takes `#x` for a comment and `&x` for an anchor, so that a password would be the default.
            self._complain(node, path, "is empty: quote a secret, and write '' for an empty one")
        elif node.tag == _NULL or self._is_overridden(path):
            return
        elif isinstance(node, yaml.SequenceNode):
            texts = tuple(self._text(item, path, setting) for item in items)
            self._layer[path] = Given(texts, self._origin(node))
        elif (text := self._text(node, path, setting)) or setting.is_secret:
            self._layer[path] = Given(text, self._origin(node))

    def _is_overridden(self, path: SettingPath) -> bool:
        above = (path[:length] for length in range(1, len(path) + 1))
        return any(p in self._overridden or starred(p) in self._overridden for p in above)

    def _text(self, node: yaml.Node, path: SettingPath, setting: Setting) -> str:
        """Return the text of a scalar as it is used, empty with a problem if it cannot be used."""
        if node.tag == _NULL:
            return ""
        if node.tag not in _PLAIN:
            self._complain(node, path, "has a tag: quote a value that begins with `!`")
            return ""
        text = _REFERENCE.sub(lambda match: self._replaced(match, node, path, setting), node.value)
        if setting.is_secret and str(node.value).startswith(_FILE):
            file, label = self._path.parent / text.removeprefix(_FILE), f"{self._place(node)}: {dotted(path)}"
            text = read_secret(str(file), label, self._findings)
        elif setting.is_secret:
            self.has_plain_secret |= bool(text) and not _REFERENCE.search(node.value)
        if problem := text_problem(text, is_secret=setting.is_secret):
            self._complain(node, path, problem)
            return ""
        return str(self._path.parent / text) if setting.is_file and text else text

    def _replaced(self, match: re.Match[str], node: yaml.Node, path: SettingPath, setting: Setting) -> str:
        if match["escaped"]:
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            self._complain(node, path, "`${` begins no reference: write `${NAME}`, or `$${` for these two characters")
            return ""
        self._referenced.add(name)
        if default is not None and "${" in default:
            self._complain(node, path, "`${` in the default of a reference is not replaced: write one reference")
            return ""
        value = next((values[name] for values in self._variables if values.get(name)), None)
        if value is None and default is None:
            # In a password `${...}` may be meant as text, and must not be shown.
            is_whole = match[0] == node.value or not setting.is_secret
            said = f"the variable {name} is not set" if is_whole else "a variable is not set: `$${` is the text `${`"
            self._complain(node, path, said)
        if value is not None and setting.is_secret:
            self._secrets.add(value)
        return value or default or ""

    def _origin(self, node: yaml.Node) -> Origin:
        return Origin(Source.FILE, self._place(node))

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _complain(self, node: yaml.Node, path: SettingPath, problem: str) -> None:
        label = f"{self._place(node)}: {dotted(path)}" if path else self._place(node)
        self._findings.complain(label, problem)
        self._wrong.append(path)


def _hint(error: yaml.YAMLError) -> str:
    """Return what to do about an error. It shows nothing of the file: the text at the error may be a password."""
    problem = str(getattr(error, "problem", ""))
    general = "check the quotes, the brackets and the indentation" if problem else "it has a control character"
    return next((hint for beginning, hint in _YAML_HINTS if problem.startswith(beginning)), general)
