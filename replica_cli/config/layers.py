"""What one source gives: the text of each setting, and its origin. The first of several layers wins."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from replica_cli.config.catalogue import COLUMNS, CONFIG_VARIABLE, Path, by_variable, dotted, setting_at
from replica_cli.config.secret_files import read_secret

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from replica_cli.config.overrides import Overrides


class Source(StrEnum):
    """A kind of source, as `replica config show` names it."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    DOTENV = ".env"
    FILE = "file"
    DEFAULT = "default"


class Origin(NamedTuple):
    """Where a value comes from.

    Attributes:
        source: the kind of source.
        name: the option or the variable; for a configuration file the path and the line.

    """

    source: Source
    name: str


class Given(NamedTuple):
    """The text of one setting, or the texts of a list, with its origin."""

    value: str | tuple[str, ...]
    origin: Origin


Layer = dict[Path, Given]


class FileContent(NamedTuple):
    """What a configuration file gives.

    Attributes:
        layer: the texts of the settings.
        lengths: the number of items of each list of objects.
        wrong: the paths of all problems.
        referenced: the names of the variables in references.
        secrets: values of variables that are a part of secrets.

    """

    layer: Layer
    lengths: Mapping[Path, int]
    wrong: tuple[Path, ...]
    referenced: frozenset[str]
    secrets: frozenset[str]


NO_FILE = FileContent({}, {}, (), frozenset(), frozenset())


class Findings:
    """What is wrong: problems end the command, warnings do not. None of them contains the text of a secret."""

    def __init__(self, problems: list[str], warnings: list[str]) -> None:
        self.problems = problems
        self.warnings = warnings

    def complain(self, name: str, problem: str) -> None:
        """Add a problem with the name that the user typed."""
        self.problems.append(f"{name}: {problem}")


def options_layer(overrides: Overrides) -> Layer:
    """Return what the options of the command line give."""
    return {
        by_variable()[variable].path: Given(text, Origin(Source.OPTION, option))
        for variable, (text, option) in overrides.by_variable().items()
    }


def variables_layer(
    values: Mapping[str, str], source: Source, findings: Findings, *, overridden: Container[Path] = ()
) -> Layer:
    """Return what variables give; an empty variable is one that is not set. Secrets may come from files.

    What a source before this one gives (`overridden`) is left out: the file of a secret that is not used may not exist.
    """
    layer: Layer = {}
    for variable, setting in by_variable().items():
        if setting.path in overridden:
            continue
        if setting.is_secret:
            given = secret_given(variable, values, source, findings)
            if given is not None:
                layer[setting.path] = given
                if problem := text_problem(str(given.value), is_secret=True):
                    findings.complain(given.origin.name, problem)
        elif text := plain_text(variable, values, findings):
            layer[setting.path] = Given(text, Origin(source, variable))
    return layer


def secret_given(variable: str, values: Mapping[str, str], source: Source, findings: Findings) -> Given | None:
    """Return the unchanged text of a secret, from its variable or from the file that `<variable>_FILE` names.

    A variable that is set and empty is an empty secret. A file has one line, unless the variable is a list.
    """
    file_variable = f"{variable}_FILE"
    path = values.get(file_variable, "").strip()
    if path and values.get(variable):
        findings.complain(file_variable, f"{variable} is set as well: keep one of the two")
    if path:
        return Given(read_secret(path, file_variable, findings), Origin(source, file_variable))
    if variable in values:
        return Given(values[variable], Origin(source, variable))
    return None


def plain_text(variable: str, values: Mapping[str, str], findings: Findings) -> str:
    """Return the stripped text of a variable that is no secret, empty if it is not set or with a problem."""
    text = values.get(variable, "").strip()
    if problem := text_problem(text, is_secret=False):
        findings.complain(variable, problem)
        return ""
    return text


def text_problem(text: str, *, is_secret: bool) -> str | None:
    """Return why a text cannot be the value of a setting in any source, None if it can."""
    # The environment gives bytes that are not UTF-8 as single surrogates.
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        return "is not UTF-8 text, or holds a NUL"
    if is_secret and len(lines := text.splitlines()) > 1:
        return f"has {len(lines)} lines: a secret is one line"
    if is_secret and text and text.splitlines() != [text]:
        return "has a line end: a secret is one line"
    return None


def nested(layer: Layer) -> dict[str, Any]:
    """Return a layer as nested values, as the declarations take them."""
    root: dict[Any, Any] = {}
    for path, given in layer.items():
        inner = root
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):  # a value instead of a group: the declarations refuse it
                break
        else:
            inner[path[-1]] = given.value
    return {key: _with_lists(value) for key, value in root.items()}


def _with_lists(value: Any) -> Any:
    """Return nested values in which numbered items are lists; an item for which nothing is given is empty."""
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(each) for key, each in value.items()}
    if inner and all(isinstance(key, int) for key in inner):
        return [inner.get(number, {}) for number in range(max(inner) + 1)]
    return inner


class Layers:
    """All layers; the first wins."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = tuple(layers)

    def nested(self) -> tuple[dict[str, Any], ...]:
        """Return the layers as nested values."""
        return tuple(map(nested, self._layers))

    def given(self, path: Path) -> Given | None:
        """Return what is given for a setting, None if it has its default."""
        return next((layer[path] for layer in self._layers if path in layer), None)

    def paths(self) -> list[Path]:
        """Return the paths of all settings that are given."""
        return list(dict.fromkeys(path for layer in self._layers for path in layer))

    def nearest(self, path: Path) -> Path:
        """Return a path, or the longest one above it at which or below which something is given."""
        paths = self.paths()
        while path and not any(p[: len(path)] == path for p in paths):
            path = path[:-1]
        return path

    def without(self, lost: Path) -> tuple[Layers, Given | None]:
        """Return the layers without all that is given at a path or below it, and one value that was removed."""
        below = [p for p in self.paths() if p[: len(lost)] == lost]
        removed = next((self.given(p) for p in below), None)
        gone = frozenset(below)
        return Layers({p: g for p, g in layer.items() if p not in gone} for layer in self._layers), removed

    def label(self, path: Path) -> str:
        """Return the name with which a problem of a setting begins: an option, a variable, or the line of a file."""
        # A setting that is missing in an item of a list has the line of the item.
        length = 2 if len(path) > 1 and isinstance(path[1], int) else len(path)
        inside = [p for p in self.paths() if p[:length] == path[:length]]
        nearest = next((p for p in inside if p[: len(path)] == path), inside[0] if inside else None)
        given = None if nearest is None else self.given(nearest)
        is_file = given is not None and given.origin.source is Source.FILE
        if path[0] == "secondaries" and not is_file and nearest != path:
            return self._label_of_column(path)
        return label_of(path, given)

    @staticmethod
    def _label_of_column(path: Path) -> str:
        column = str(path[-1]) if len(path) > 1 else "host"
        return COLUMNS[column][0] if column in COLUMNS else dotted(path)

    def called(self, path: Path) -> str:
        """Return what the user calls a setting: its option, its variable, or its name in the configuration file."""
        given = self.given(path)
        if given is not None:
            return dotted(path) if given.origin.source is Source.FILE else given.origin.name
        setting = setting_at(path)
        return setting.variable if setting is not None and setting.variable else dotted(path)


def label_of(path: Path, given: Given | None) -> str:
    """Return the name with which a problem of a setting begins."""
    if given is None:
        setting = setting_at(path)
        return setting.variable if setting is not None and setting.variable else dotted(path)
    if given.origin.source is Source.FILE:
        return f"{given.origin.name}: {dotted(path)}"
    return given.origin.name


def config_file_named(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> str:
    """Return the configuration file that the variable names, empty if none is named."""
    return next((text for values in (environ, dotenv) if (text := values.get(CONFIG_VARIABLE, "").strip())), "")
