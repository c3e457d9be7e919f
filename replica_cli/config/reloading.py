"""Finds out which changed settings a running stream can take, and makes the configuration to go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.config.building import settings_of
from replica_cli.config.catalogue import all_settings
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
_WIDER = "they select more tables: stop the stream, then `replica position reset --accept-filters`"
# The address and the name of a secondary: if one of them changes, the list is not the same list any more.
_IDENTITY = ("host", "port", "name")


def reloaded(old: Configuration, new: Configuration) -> tuple[Configuration, ReloadReport]:
    """Return the configuration of a running stream after a reload, and what has changed.

    Args:
        old: the configuration that is in use.
        new: what the sources give now.

    """
    changed = [path for path in _compared(old, new) if value_at(old.declared, path) != value_at(new.declared, path)]
    is_wider = not _selection(new.declared).is_within(_selection(old.declared))
    taken = [path for path in changed if _reloads(path) and not (is_wider and path in _FILTERS)]
    refused = [path for path in changed if path not in taken]
    layers = Layers([_joined(old.layers, new.layers, taken)])
    declared = Declarations.of(layers.nested())
    configuration = Configuration(
        settings_of(declared), declared, old.progress, new.warnings, layers=layers, file=new.file
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
    items = (p for layers in (old.layers, new.layers) for p in layers.paths() if p[0] == "secondaries")
    return [*single, ("rules",), *dict.fromkeys(items)]


def _identity(declared: Declarations) -> list[tuple[object, ...]]:
    return [tuple(getattr(each, name) for name in _IDENTITY) for each in declared.secondaries]


def _reloads(path: Path) -> bool:
    if path == ("rules",):
        return True
    return any(
        s.reloads and len(s.path) == len(path) and all(a in (b, "*") for a, b in zip(s.path, path, strict=True))
        for s in all_settings()
    )


def _joined(old: Layers, new: Layers, taken: list[Path]) -> Layer:
    """Return what is given after the reload: of the taken settings that of the new layers, else that of the old."""

    def is_taken(path: Path) -> bool:
        return any(path[: len(each)] == each for each in taken)

    layer = {p: g for p in old.paths() if not is_taken(p) and (g := old.given(p)) is not None}
    return layer | {p: g for p in new.paths() if is_taken(p) and (g := new.given(p)) is not None}


def _change(path: Path, old: Configuration, new: Configuration, note: str = "") -> Change:
    name = new.layers.called(path) if new.layers.given(path) else old.layers.called(path)
    return Change(name, text_at(path, old.layers), text_at(path, new.layers), note)


def _selection(declared: Declarations) -> Selection:
    return selection_of(declared.schemas, declared.tables, declared.exclude_tables, declared.state_schema)
