"""Finds out which changed settings a running stream can take, and makes the configuration to go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.config.building import settings_of
from replica_cli.config.catalogue import all_settings, setting_at
from replica_cli.config.declarations import Declarations
from replica_cli.config.effective import text_at, value_at
from replica_cli.config.filters import selection_of
from replica_cli.config.layers import Layer, Layers
from replica_cli.config.loading import Configuration
from replica_cli.core.reports.reload import Change, ReloadReport

if TYPE_CHECKING:
    from replica_cli.config.catalogue import Path
    from replica_cli.core.selection import Selection

_FILTERS: tuple[Path, ...] = (("schemas",), ("tables",), ("exclude_tables",))
_IDENTITY = ("host", "port", "name")
_WIDER = "they select more tables: stop the stream, then `replica position reset --accept-filters`"


def reloaded(old: Configuration, new: Configuration) -> tuple[Configuration, ReloadReport]:
    """Return the configuration of a running stream after a reload, and what has changed.

    Args:
        old: the configuration that is in use.
        new: what the sources give now.

    """
    compared = _compared(old, new)
    is_wider = not _selection(new.declared).is_within(_selection(old.declared))
    # A secondary's own setting is taken although its value is the same: it holds when that of all secondaries changes.
    reloading = [path for path in compared if _reloads(path) and not (is_wider and path in _FILTERS)]
    changed = [path for path in compared if value_at(old.declared, path) != value_at(new.declared, path)]
    taken = [path for path in changed if path in reloading]
    refused = [path for path in changed if path not in reloading]
    layers = Layers([_joined(old.layers, new.layers, reloading)])
    declared = Declarations.of(layers.nested())
    # A value that is in use may contain a secret that the sources do not give any more.
    mask = old.mask.joined(new.mask)
    configuration = Configuration(
        settings_of(declared), declared, old.progress, new.warnings, layers=layers, file=new.file, mask=mask
    )
    return configuration, ReloadReport(
        configuration.settings,
        tuple(_change(path, old, new) for path in taken),
        tuple(_change(path, old, new, _WIDER if path in _FILTERS else "") for path in refused),
    )


def _compared(old: Configuration, new: Configuration) -> list[Path]:
    """Return the paths to compare: settings, the list of rules, and the settings of each secondary."""
    single: list[Path] = [s.path for s in all_settings() if "*" not in s.path]
    if _identity(old.declared) != _identity(new.declared):
        return [*single, ("rules",), ("secondaries",)]
    given = (path for layers in (old.layers, new.layers) for path in layers.paths())
    items = (path for path in given if path[0] == "secondaries" and path[-1] not in _IDENTITY)
    return [*single, ("rules",), *dict.fromkeys(items)]


def _identity(declared: Declarations) -> list[tuple[object, ...]]:
    """Return what makes each secondary another one if it changes."""
    return [(s.host, s.port, s.name or f"{s.host}:{s.port}") for s in declared.secondaries]


def _reloads(path: Path) -> bool:
    setting = setting_at(path)
    return path == ("rules",) or (setting is not None and setting.reloads)


def _joined(old: Layers, new: Layers, taken: list[Path]) -> Layer:
    """Return what is given after the reload: of the taken settings that of the new layers, else that of the old."""

    def is_taken(path: Path) -> bool:
        return any(path[: len(each)] == each for each in taken)

    layer = {p: g for p in old.paths() if not is_taken(p) and (g := old.given(p)) is not None}
    return layer | {p: g for p in new.paths() if is_taken(p) and (g := new.given(p)) is not None}


def _change(path: Path, old: Configuration, new: Configuration, note: str = "") -> Change:
    name = new.layers.called(path) if new.layers.given(path) else old.layers.called(path)
    return Change(name, text_at(path, old.layers, old.mask), text_at(path, new.layers, new.mask), note)


def _selection(declared: Declarations) -> Selection:
    return selection_of(declared.schemas, declared.tables, declared.exclude_tables, declared.state_schema)
