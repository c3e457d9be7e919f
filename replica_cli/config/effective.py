"""The effective value of each setting: as a value to compare, and as text to show, with its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from replica_cli.config.catalogue import COLUMNS, Path, all_settings, dotted, for_all_secondaries, setting_at, starred
from replica_cli.config.layers import Origin, Source
from replica_cli.config.masking import MASK
from replica_cli.core.reports.configuration import SettingReport

if TYPE_CHECKING:
    from replica_cli.config.catalogue import Setting
    from replica_cli.config.declarations import Declarations
    from replica_cli.config.layers import Layers
    from replica_cli.config.masking import Mask

# secondaries, the number of one, the name of a setting
_COLUMN_DEPTH = 3
_DEFAULT = Origin(Source.DEFAULT, "")


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting as it is in effect: `text` is None if it has no value, and masked if it is a secret."""

    path: Path
    setting: Setting
    text: str | None
    origin: Origin

    @property
    def name(self) -> str:
        """Return its name in the configuration file."""
        return dotted(self.path)

    @property
    def variable(self) -> str:
        """Return its environment variable, empty if it has none."""
        if self.setting.variable or self.path[0] != "secondaries" or len(self.path) > _COLUMN_DEPTH:
            return self.setting.variable
        return COLUMNS[str(self.path[-1])][0]


def effective_settings(layers: Layers, mask: Mask) -> list[Effective]:
    """Return all settings, in the order of their declarations; of the items of lists only what is given."""
    order = {setting.path: number for number, setting in enumerate(all_settings())}
    items = [p for p in layers.paths() if any(isinstance(part, int) for part in p) and setting_at(p) is not None]
    paths = [p for p in order if "*" not in p] + items

    def rank(path: Path) -> tuple[int, int, int]:
        """Return the order of a list among the settings, of an item in its list, and of a setting in its item."""
        number = order[starred(path)]
        first = min(n for p, n in order.items() if p[0] == path[0]) if path in items else number
        return first, next((part for part in path if isinstance(part, int)), 0), number

    return [
        _effective(path, setting, layers, mask)
        for path in sorted(paths, key=rank)
        if (setting := setting_at(path)) is not None
    ]


def _effective(path: Path, setting: Setting, layers: Layers, mask: Mask) -> Effective:
    given = layers.given(path)
    if given is None:
        return Effective(path, setting, MASK if setting.is_secret and setting.default else setting.default, _DEFAULT)
    text = _text(given.value)
    # A reference may put a secret into any setting.
    return Effective(path, setting, MASK if setting.is_secret and text else mask(text), given.origin)


def setting_reports(layers: Layers, mask: Mask, *, with_defaults: bool) -> tuple[SettingReport, ...]:
    """Return the settings that are in effect, those with their default only if they are wanted."""
    reports = (
        SettingReport(e.name, e.variable, e.text, e.origin.source, e.origin.name)
        for e in effective_settings(layers, mask)
    )
    return tuple(r for r in reports if with_defaults or r.source != Source.DEFAULT)


def text_at(path: Path, layers: Layers, mask: Mask) -> str:
    """Return the text of a setting, or of all items of a list, empty if it has no value."""
    if layers.given(path) is None and (other := for_all_secondaries(path)) is not None:
        path = other
    setting = setting_at(path)
    if setting is not None:
        return _effective(path, setting, layers, mask).text or ""
    below = [p for p in layers.paths() if p[: len(path)] == path and p != path]
    return ", ".join(f"{dotted(p[len(path) :])}={text_at(p, layers, mask)}" for p in below)


def held_at(declared: Declarations, path: Path) -> Path:
    """Return the path of the setting whose value holds: for what a secondary does not give, that of all secondaries."""
    other = for_all_secondaries(path)
    if other is None:
        return path
    group = _given_at(declared, path[:-1])
    is_given = isinstance(group, BaseModel) and path[-1] in group.model_fields_set
    return path if is_given and getattr(group, str(path[-1])) not in (None, "") else other


def value_at(declared: Declarations, path: Path) -> object:
    """Return the value that holds for a setting or for a group, None if there is none."""
    return _given_at(declared, held_at(declared, path))


def _given_at(declared: Declarations, path: Path) -> object:
    value: object = declared
    for part in path:
        if isinstance(value, tuple) and isinstance(part, int):
            value = value[part] if part < len(value) else None
        elif isinstance(value, BaseModel):
            value = getattr(value, str(part))
        else:
            return None
    return value


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)
