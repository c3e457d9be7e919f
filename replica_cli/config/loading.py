"""Reads the settings from all sources. The first that gives a setting wins: option, environment, `.env`, file, default.

Everything is read and checked before an error is raised, so that the error has all problems.
"""

from __future__ import annotations

import difflib
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from replica_cli.config.building import settings_of
from replica_cli.config.catalogue import names, setting_at, variables
from replica_cli.config.checks import check
from replica_cli.config.columns import overridden_by, read_columns, secondaries_layer
from replica_cli.config.declarations import Declarations
from replica_cli.config.dotfile import read_dotfile
from replica_cli.config.environment import process_environment
from replica_cli.config.layers import (
    NO_FILE,
    Findings,
    Layers,
    Source,
    config_file_named,
    label_of,
    options_layer,
    variables_layer,
)
from replica_cli.config.masking import Mask
from replica_cli.config.overrides import Overrides
from replica_cli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from replica_cli.config.catalogue import Path as SettingPath
    from replica_cli.config.columns import Column
    from replica_cli.config.layers import FileContent, Layer
    from replica_cli.core.settings import Settings

DOTENV = Path(".env")
_LINE = re.compile(r"^[^\s:]+:(\d+):")
_NO_MASK = Mask()
_HIDDEN = "has a wrong value, which is not shown because there is a secret in it"
_PREFIXES = ("MARIA_", "REPLICA_", "GRAYLOG_", "TRANSFER_")
_HINT = "example.env lists every variable with its default; a line of `.env` is NAME=value or NAME='any value'"
_FILE_HINT = "`replica config check` shows all problems, `replica config schema` what a file may have"


class Configuration(NamedTuple):
    """The settings, how progress is shown (auto, bar, lines, off), warnings, and which source gave what.

    `declared` has the same settings as they are declared, `file` is the configuration file, None without one, and
    `mask` replaces the secrets in a text that is shown.
    """

    settings: Settings
    declared: Declarations
    progress: str
    warnings: tuple[str, ...]
    layers: Layers
    file: Path | None = None
    mask: Mask = _NO_MASK


def load_settings(
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path = DOTENV,
    file: Path | None = None,
) -> Settings:
    """Return the settings.

    Raises:
        ConfigurationError: with all problems.
    """
    return read_configuration(overrides, environ, dotenv, file).settings


def read_configuration(
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: Path = DOTENV,
    file: Path | None = None,
) -> Configuration:
    """Return the settings with their origins.

    Args:
        overrides: the options of the command line.
        environ: the environment, None for that of the process.
        dotenv: the `.env` file; it may be missing.
        file: the configuration file; None if the variable REPLICA_CONFIG names it, or if there is none.

    Raises:
        ConfigurationError: with all problems; each names its variable, its option, or its line in a file.

    """
    gathered = gather(overrides, environ, dotenv, file)
    findings, misspelt = gathered.findings, gathered.misspelt
    if findings.problems:
        # If a required variable "is not set", its name is often misspelt.
        hint = _FILE_HINT if gathered.file else _no_file(dotenv) + _HINT
        raise ConfigurationError((*sorted(dict.fromkeys(findings.problems), key=_rank), *misspelt), hint=hint)
    declared = gathered.declared
    return Configuration(
        settings_of(declared), declared, declared.logging.progress, (*findings.warnings, *misspelt), gathered.layers,
        gathered.file, gathered.mask,
    )  # fmt: skip


class Gathered(NamedTuple):
    """What the sources give, valid or not: what is wrong has its default in `declared`.

    `unreadable` are the problems because of which a part of the sources is not in `layers`.
    """

    declared: Declarations
    layers: Layers
    findings: Findings
    misspelt: tuple[str, ...]
    file: Path | None
    mask: Mask
    unreadable: tuple[str, ...]


def gather(
    overrides: Overrides | None,
    environ: Mapping[str, str] | None,
    dotenv: Path,
    file: Path | None,
    *,
    reads_file: bool = True,
) -> Gathered:
    """Read all sources and check the settings; the arguments are those of `read_configuration`. Never raises.

    `reads_file`: False if no configuration file is read, also if the variable names one.
    """
    environ = process_environment() if environ is None else environ
    dotfile = read_dotfile(dotenv)
    findings = Findings(dotfile.problems, dotfile.warnings)
    given: tuple[tuple[Source, Mapping[str, str]], ...] = (
        (Source.ENVIRONMENT, environ), (Source.DOTENV, dotfile.values),
    )  # fmt: skip
    if reads_file and file is None and (named := config_file_named(environ, dotfile.values)):
        file = Path(named)
    options = options_layer(overrides or Overrides())
    own_layers = [options]
    for source, values in given:
        overridden = frozenset(itertools.chain.from_iterable(own_layers))
        own_layers.append(variables_layer(values, source, findings, overridden=overridden))
    columns = read_columns(given, findings)
    content = _file_content(file, [environ, dotfile.values], findings, own_layers, columns)
    secondaries, rest, wrong = secondaries_layer(columns, content, findings)
    wrong += content.wrong
    # An option is for all secondaries of this command.
    secondaries = {p: g for p, g in secondaries.items() if p[2:] not in options}
    layers = Layers((*own_layers, secondaries, rest))
    mask = Mask(_secrets(layers, content, (environ, dotfile.values)))
    unreadable = tuple(findings.problems)
    declared = _declared(layers, wrong, findings, mask)
    _add_findings(declared, layers, wrong, findings, mask)
    unknown = _unknown_names(environ, dotfile.values, content.referenced)
    return Gathered(declared, layers, findings, misspellings(unknown), file, mask, unreadable)


def secondary_names(dotenv: Path = DOTENV, file: Path | None = None) -> tuple[str, ...]:
    """Return the names of the secondaries for shell completion, none if the configuration is wrong."""
    try:
        return tuple(s.name for s in load_settings(None, None, dotenv, file).secondaries)
    except ConfigurationError:
        return ()


def misspellings(unknown: Sequence[str]) -> tuple[str, ...]:
    """Return a warning for each unknown variable name, with the most similar known name."""
    warnings = []
    # The first word is the same in most names. It is not compared, because otherwise short names match every name.
    ends = {known.partition("_")[2]: known for known in sorted(names())}
    for name in unknown:
        nearest = difflib.get_close_matches(name.upper().partition("_")[2], ends, n=1, cutoff=0.6)
        warnings.append(f"{name}: unknown variable" + (f", did you mean {ends[nearest[0]]}" if nearest else ""))
    return tuple(warnings)


def _file_content(
    file: Path | None,
    variables: Sequence[Mapping[str, str]],
    findings: Findings,
    before: Sequence[Layer],
    columns: Mapping[str, Column],
) -> FileContent:
    if file is None:
        return NO_FILE
    from replica_cli.config.file import read_file  # noqa: PLC0415 - without a file the YAML library is not loaded

    options = frozenset(("secondaries", "*", *path) for path in before[0])
    return read_file(file, variables, findings, overridden=options.union(overridden_by(columns), *before))


def _secrets(layers: Layers, content: FileContent, sources: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the secrets of all sources, also those that another source replaces; a documented default is none."""
    settings = ((setting_at(path), layers.given(path)) for path in layers.paths())
    given = {str(g.value) for s, g in settings if s is not None and s.is_secret and g is not None}
    named = [v.variable for v in variables() if v.is_secret]
    in_variables = {values[name] for values in sources for name in named if name in values}
    return (given | in_variables | content.secrets) - {v.default for v in variables() if v.is_secret}


def _declared(layers: Layers, wrong: list[SettingPath], findings: Findings, mask: Mask) -> Declarations:
    """Return the declared settings. What is wrong has its default, and its path is added to `wrong`."""
    while True:
        try:
            return Declarations.of(layers.nested())
        except ValidationError as error:
            # An error may name a path at which nothing is given. The first one always removes a value, so that this
            # ends. Another one may be about the same value.
            for number, each in enumerate(error.errors(include_url=False, include_input=False)):
                path = layers.nearest(tuple(each["loc"]))
                if number and path != each["loc"]:
                    continue
                layers, removed = layers.without(path)
                wrong.append(path)
                cause = each.get("ctx", {}).get("error")
                text = str(cause) if isinstance(cause, ValueError) else each["msg"][:1].lower() + each["msg"][1:]
                is_hidden = removed is not None and mask.hides(removed.value)
                findings.complain(label_of(path, removed), _HIDDEN if is_hidden else text)


def _add_findings(
    declared: Declarations, layers: Layers, wrong: Sequence[SettingPath], findings: Findings, mask: Mask
) -> None:
    for each in check(declared, layers.called):
        paths = (each.path, *each.others)
        if any(_overlap(path, lost) for path, lost in itertools.product(paths, wrong)):
            continue
        is_hidden = any(mask.hides(given.value) for p in paths if (given := layers.given(p)) is not None)
        text = f"{layers.label(each.path)}: {_HIDDEN if is_hidden else each.text}"
        (findings.warnings if each.is_warning else findings.problems).append(text)


def _rank(problem: str) -> tuple[int, int]:
    """Return the order of a problem: by its variable as in the documents, then by its line in a file."""
    order = {v.variable: number for number, v in enumerate(variables())}
    label = problem.partition(":")[0]
    line = _LINE.search(problem)
    return (0, order[label]) if label in order else (1, int(line[1]) if line else 0)


def _overlap(path: SettingPath, other: SettingPath) -> bool:
    return path[: len(other)] == other or other[: len(path)] == path


def _no_file(dotenv: Path) -> str:
    """Return a sentence that says that the `.env` file does not exist, empty if it exists."""
    if dotenv.exists():
        return ""
    return f"there is no {dotenv.absolute()}: create it, or name another file with `--env-file`; "


def _unknown_names(environ: Mapping[str, str], dotenv: Mapping[str, str], referenced: frozenset[str]) -> list[str]:
    """Return the names that have a prefix of `replica`, and that neither `replica` nor its configuration file uses."""
    unknown = {n for values in (environ, dotenv) for n in values if n.startswith(_PREFIXES[:2])}
    # In the `.env` file such a name can only be meant for `replica`, so wrong case and dashes count as well.
    unknown |= {n for n in dotenv if n.upper().replace("-", "_").replace(".", "_").startswith(_PREFIXES)}
    return sorted(n for n in unknown - names() - referenced if not n.startswith("REPLICA_TEST_"))
