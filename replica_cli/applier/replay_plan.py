"""How one table's events are replayed over its copy: what is decoded of each row, and what must be looked at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from replica_cli.applier.plan import RowPlan, columns_for, enum_places, is_present, written_columns
from replica_cli.applier.sql_engine import definition_of
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import NO_FOREIGN_KEY_CHECKS, RowKind
from replica_cli.decoder.compile import Form, Output, compile_rows, compile_updates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.definitions import ChildKey, Definitions
    from replica_cli.core.events import RowEvent
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import Column, TableDefinition, TableName
    from replica_cli.sqlbuilder.rows import Literals

_ACTING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


class ReplayRow(NamedTuple):
    """One row's literals: all values, the identity and the references after the change; identity and values before."""

    values: Literals
    identity: Literals
    references: Literals
    old_identity: Literals
    old_values: Literals


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key that acts on this table's rows: (column, parent's column) pairs, the secondary's names."""

    parent: TableName
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReplayPlan:
    """How one kind of event is replayed.

    `identity` are the key's columns and those that foreign keys point to. `cascades`: children go along with the row,
    and `followers` are those that take its new key. `references` must be there, or the copy is ahead of the row.
    """

    rows: RowPlan
    definition: TableDefinition
    identity: tuple[str, ...]
    cascades: bool
    followers: tuple[tuple[ChildKey, TableDefinition], ...]
    references: tuple[Reference, ...]

    @property
    def reference_columns(self) -> tuple[str, ...]:
        """Return the columns whose literals are in `ReplayRow.references`."""
        return tuple(ours for reference in self.references for ours, _ in reference.columns)

    def row(self, literals: Literals, kind: RowKind) -> ReplayRow:
        """Cut one decoded row into its parts; what a kind does not have is empty."""
        written, identity = len(self.rows.written), len(self.identity)
        references = len(self.reference_columns)
        if kind is RowKind.DELETE:
            return ReplayRow((), (), (), literals[:identity], literals[identity:])
        ends = (written, written + identity, written + identity + references)
        after = (literals[: ends[0]], literals[ends[0] : ends[1]], literals[ends[1] : ends[2]])
        return ReplayRow(*after, literals[ends[2] : ends[2] + identity], literals[ends[2] + identity :])


def plan_replay(
    event: RowEvent, definitions: Definitions, selection: Selection, *, cascades_are_logged: bool
) -> ReplayPlan:
    """Compile the plan for events like this one.

    Raises Drift, and ApplyRefused where a table has no key or the row image is not whole.
    """
    definition = definition_of(event, definitions, selection)
    table = event.table
    columns = columns_for(table, definition)
    _check(event, definition, columns)
    # A session that did not check foreign keys cascaded nothing, and its rows may refer to nothing.
    acts = not (cascades_are_logged or event.flags & NO_FOREIGN_KEY_CHECKS)
    children = definitions.children(definition.name)
    referenced = {parent for child in children for _, parent in child.columns}
    cascades = bool(referenced) and acts
    key = tuple(c.name for c in definition.row_key)
    identity = (*key, *sorted(referenced.difference(key)))
    written = written_columns(columns, event.present)
    references = _references(definition) if acts else ()
    followers = tuple((c, definitions.get(c.child)) for c in children if c.updates) if cascades else ()
    ordinals = {c.name: i for i, c in enumerate(columns)}
    values = _outputs(written, ordinals, Form.VALUE)
    keys = _outputs(identity, ordinals, Form.KEY)
    pointing = _outputs([ours for r in references for ours, _ in r.columns], ordinals, Form.KEY)
    after, before = [*values, *keys, *pointing], [*keys, *(values if cascades else [])]
    if event.kind is RowKind.INSERT:
        decode = compile_rows(table, columns, after, event.present)
    elif event.kind is RowKind.DELETE:
        decode = compile_rows(table, columns, before, event.present)
    else:
        decode = compile_updates(table, columns, before, after, event.present, event.present_after)
    rows = RowPlan(decode, written, key, has_key=True, enum_places=enum_places(columns, written))
    return ReplayPlan(rows, definition, identity, cascades, followers, references)


def _check(event: RowEvent, definition: TableDefinition, columns: Sequence[Column]) -> None:
    name = event.table.name
    if not definition.row_key:
        raise ApplyRefused(f"{name}: a table without a key cannot be replayed over its copy", table=name)
    if not all(is_present(event.present, i) for i in range(len(columns))):
        raise ApplyRefused(
            f"{name}: the row image is not whole, so it cannot be replayed over the copy",
            hint="set binlog_row_image=FULL on the primary, then `replica transfer --restart`",
            table=name,
        )


def _references(definition: TableDefinition) -> tuple[Reference, ...]:
    return tuple(
        Reference(key.parent, tuple(zip(key.columns, key.parent_columns, strict=True)))
        for key in definition.foreign_keys
        if key.on_delete in _ACTING or key.on_update in _ACTING
    )


def _outputs(names: Sequence[str], ordinals: dict[str, int], form: Form) -> list[Output]:
    return [Output(ordinals[name], form) for name in names]
