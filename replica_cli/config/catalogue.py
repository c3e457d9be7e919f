"""The list of all declared settings, read from the declarations.

The sources use it to find the text of a setting, and the generators of documents to describe each setting.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pydantic import BaseModel

from replica_cli.config.declarations import Declarations
from replica_cli.config.types import Texts

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
# The variables about the secondaries are lists with one item for each secondary: a setting is a column of the list.
COLUMNS = {
    "host": ("MARIA_SECONDARY_HOSTS", "hosts of the secondaries, comma-separated; required"),
    "port": ("MARIA_SECONDARY_PORTS", "ports of the secondaries, one for each host; 3306 if not given"),
    "name": (
        "MARIA_SECONDARY_NAMES",
        "names of the secondaries, one for each host, all different; host:port if not given",
    ),
    "user": ("MARIA_SECONDARY_USERS", "users on the secondaries, one for each host; an empty one means MARIA_USER"),
    "password": (
        "MARIA_SECONDARY_PASSWORDS",
        "passwords on the secondaries, one for each host, comma-separated; an empty one means MARIA_PASS",
    ),
}
CONFIG_VARIABLE = "REPLICA_CONFIG"
# secondaries, the number of one, the name of a setting or of a group
_DEPTH_IN_ITEM = 3


class Setting(NamedTuple):
    """One declared setting.

    Attributes:
        path: its names in the configuration file, from the outermost group; `*` is each item of a list.
        variable: its environment variable, empty if it has none.
        default: the text of its default, None if it has none.
        meaning: what it does.
        is_secret: its value is never shown, and may come from a file.
        is_file: its value is a path.
        is_list: its value is a list of texts.
        reloads: a running stream takes a new value.

    """

    path: Path
    variable: str
    default: str | None
    meaning: str
    is_secret: bool
    is_file: bool
    is_list: bool
    reloads: bool

    @property
    def name(self) -> str:
        """Return its name in the configuration file, with dots."""
        return dotted(self.path)


class Variable(NamedTuple):
    """One environment variable; `name` is that of the setting in the configuration file."""

    variable: str
    name: str
    default: str
    meaning: str
    is_secret: bool = False
    reloads: bool = False


def dotted(path: Path) -> str:
    """Return a path as text: `secondaries[0].batch.age`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) or part == "*" else f".{part}" if text else str(part)
    return text


@functools.cache
def all_settings() -> tuple[Setting, ...]:
    """Return all settings, in the order of the declarations."""
    return tuple(_settings_of(Declarations, (), "", ""))


@functools.cache
def by_variable() -> dict[str, Setting]:
    """Return the settings that have a variable of their own, by its name."""
    return {s.variable: s for s in all_settings() if s.variable}


@functools.cache
def setting_at(path: Path) -> Setting | None:
    """Return the setting at a path, None if the path is that of a group or is not declared."""
    wanted = starred(path)
    return next((s for s in all_settings() if s.path == wanted), None)


def for_all_secondaries(path: Path) -> Path | None:
    """Return the setting whose value holds for a secondary that does not give this one, None if there is none."""
    if path[0] != "secondaries" or len(path) < _DEPTH_IN_ITEM:
        return None
    group, *rest = path[2:]
    if group in ("user", "password"):
        return "primary", group
    return ("secondary_tls" if group == "tls" else group, *rest) if rest else None


@functools.cache
def names_in(path: Path) -> tuple[str, ...]:
    """Return the names in the group at a path, only `*` for a list of groups, and none if it is not a group."""
    wanted = starred(path)
    depth = len(wanted)
    below = (s.path for s in all_settings() if s.path[:depth] == wanted and len(s.path) > depth)
    return tuple(dict.fromkeys(str(p[depth]) for p in below))


def starred(path: Path) -> Path:
    """Return the path with `*` for the number of an item, as settings have it."""
    return tuple("*" if isinstance(part, int) else part for part in path)


@functools.cache
def variables() -> tuple[Variable, ...]:
    """Return all environment variables, in the order of the documents."""
    listed: list[Variable] = [
        Variable(CONFIG_VARIABLE, "", "", "configuration file to read, YAML or JSON; `--config` names it as well")
    ]
    for each in all_settings():
        if each.path == ("secondaries", "*", "host"):
            listed += _column_variables()
        if each.variable:
            listed.append(Variable(*_named(each), is_secret=each.is_secret, reloads=each.reloads))
        if each.variable and each.is_secret:
            listed.append(Variable(f"{each.variable}_FILE", "", "", f"file to read {each.variable} from instead"))
    return tuple(listed)


@functools.cache
def names() -> frozenset[str]:
    """Return the names of all environment variables."""
    return frozenset(v.variable for v in variables())


def _named(setting: Setting) -> tuple[str, str, str, str]:
    return setting.variable, setting.name, setting.default or "", setting.meaning


def _column_variables() -> Iterator[Variable]:
    for field, (variable, meaning) in COLUMNS.items():
        is_secret = field == "password"
        yield Variable(variable, f"secondaries[*].{field}", "", meaning, is_secret)
        if is_secret:
            file_meaning = f"file to read {variable} from instead, one on each line (needed if they contain commas)"
            yield Variable(f"{variable}_FILE", "", "", file_meaning)


def _settings_of(model: type[BaseModel], path: Path, prefix: str, whose: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        extra: Any = field.json_schema_extra
        declared = extra["x-replica"]
        inner, is_list = _group_of(field.annotation)
        if inner is not None:
            below = (*path, name, "*") if is_list else (*path, name)
            yield from _settings_of(inner, below, declared["prefix"], declared["whose"] or whose)
            continue
        end = declared["variable"]
        # In a group that several places share, the name of a variable is only the end. Items of lists have none.
        variable = "" if "*" in path else (prefix and prefix + end) if end.startswith("_") else end
        yield Setting(
            (*path, name), variable, field.default, (field.description or "").replace("{whose}", whose),
            declared["is_secret"], declared["is_file"], any(isinstance(each, Texts) for each in field.metadata),
            declared["reloads"],
        )  # fmt: skip


def _group_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the class of a group, None for a setting, and whether it is an item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, getattr(annotation, "__origin__", None) is tuple
    return None, False
