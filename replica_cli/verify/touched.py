"""Collect, from a part of the log, which rows changed between two snapshots.

For a table with a key these are the keys, and for some of them what the row was at the secondary's position. A table
without a key has rows that cannot be told apart by a key: there each change takes away a row with one hash and adds a
row with another one, and only the balance counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from replica_cli.checkpoint.intents import digest
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import RowEvent, RowKind, XaPhase
from replica_cli.decoder.form import Form, Output
from replica_cli.verify.cascades import ParentChanges, TooManyCascades, cascaded_keys
from replica_cli.verify.image_rows import ImageRows
from replica_cli.verify.image_texts import ImageTexts
from replica_cli.verify.statements import LoggedStatements

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from replica_cli.checkpoint.intents import Intent
    from replica_cli.core.events import RowHead, Statement, Transaction
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.tables import VerifiedTable

ABSENT = ""
"""In place of a row's hash: there is no such row."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The positions between which changes count.

    Attributes:
        shown: the primary's snapshot shows every transaction before this position.
        end: it shows none after this one.
        applied: the secondary's snapshot shows exactly the transactions before this one.
    """

    shown: Position
    end: Position
    applied: Position

    @property
    def is_behind(self) -> bool:
        """Return True if the secondary does not have everything that the primary's snapshot shows."""
        return not self.applied.at_least(self.shown)

    @property
    def low(self) -> Position:
        """Return the first of the positions."""
        return self.applied if self.is_behind else self.shown

    @property
    def high(self) -> Position:
        """Return the last of the positions."""
        return self.applied if self.applied.at_least(self.end) else self.end


class _Image(NamedTuple):
    """A row before or after a change: its key, its hash and its values, None if they are not wanted."""

    key: KeyLiterals
    hash: str | None
    values: tuple[bytes, ...] | None = None


class _Change(NamedTuple):
    """One changed row: before and after, None if there was or is no row."""

    before: _Image | None
    after: _Image | None


@dataclass(slots=True)
class _TableChanges:
    """What changed in one table: the keys of a table that has a key, the balance of one that has none."""

    table: VerifiedTable
    keys: dict[KeyLiterals, str | None] = field(default_factory=dict)
    values: dict[KeyLiterals, tuple[bytes, ...] | None] = field(default_factory=dict)
    balance: Counter[str] = field(default_factory=Counter)
    more_rows: int | None = 0

    @property
    def size(self) -> int:
        """Return how many changed rows are kept."""
        return len(self.keys) + len(self.balance)


class TouchedRows:
    """The changed rows of some tables.

    Attributes:
        uncertain: tables of which it is not known which rows were changed.
        has_unknown_xa: an XA transaction was committed whose rows are in an earlier part of the log.
    """

    def __init__(
        self,
        tables: Iterable[VerifiedTable],
        interval: Interval,
        wanted: Mapping[TableName, Collection[KeyLiterals]],
        facts: ServerFacts,
        *,
        limit: int,
        keeps_values: bool = False,
    ) -> None:
        """Begin with nothing.

        Args:
            tables: the tables whose changes count.
            interval: the positions between which changes count.
            wanted: the keys of the rows of which it is wanted what they were at the secondary's position. If the
                secondary is behind, those of all changed rows are wanted.
            facts: the primary's facts.
            limit: how many changed rows are kept. A table that has more than what is left becomes uncertain.
            keeps_values: keep also the values of the wanted rows.
        """
        self._keeps_values = keeps_values
        self._changed = {t.name: _TableChanges(t) for t in tables}
        self._statements = LoggedStatements((c.table for c in self._changed.values()), facts)
        self._parents = ParentChanges(c.table for c in self._changed.values())
        self._interval = interval
        self._wanted = wanted
        self._wants_all = interval.is_behind
        self._room = limit
        self._hashes: set[str] = set()
        self._readers: dict[RowHead, _RowReader] = {}
        self._prepared: dict[str, dict[TableName, list[_Change]]] = {}
        self.uncertain: set[TableName] = set()
        self.has_unknown_xa = False

    def wants(self, name: TableName) -> bool:
        """Return True if the row events of a table count."""
        return name in self._changed or self._parents.wants(name)

    def keys(self, name: TableName) -> Mapping[KeyLiterals, str | None]:
        """Return the changed keys of a table, each with the hash of the row at the secondary's position.

        The hash is ABSENT if there was no such row, and None if it is not known.
        """
        return self._changed[name].keys

    def values(self, name: TableName, key: KeyLiterals) -> tuple[bytes, ...] | None:
        """Return the values that a wanted row had at the secondary's position, None if they are not known.

        They are literals of the secondary's columns that are written, in their order.
        """
        return self._changed[name].values.get(key)

    def balance(self, name: TableName) -> Counter[str]:
        """Return how many rows with each hash the secondary has more than the primary's snapshot; fewer are negative.

        For a table without a key.
        """
        return self._changed[name].balance

    def take_intent(self, intent: Intent | None) -> None:
        """Take the secondary's statement that runs now, or was interrupted.

        Rows may be changed already, although the secondary's position is before the statement. If it was not in the log
        up to the last position, it is not known which rows.
        """
        if intent is not None and intent.statement_hash not in self._hashes:
            self._doubt()

    def add_cascades(self, primary: Session, secondary: Session) -> None:
        """Add the rows that foreign keys have changed, inside both snapshots.

        It is not known what these rows were, nor how many there were.
        """
        if not any(self._parents.values.values()):
            return
        for name, changed in self._changed.items():
            if not changed.table.cascades.edges or name in self.uncertain:
                continue
            changed.more_rows = None
            if changed.table.key is None:
                self.uncertain.add(name)
                continue
            try:
                for key in cascaded_keys(changed.table, self._parents, primary, secondary):
                    changed.keys[key] = None
            except TooManyCascades:
                self.uncertain.add(name)

    def more_rows(self, name: TableName) -> int | None:
        """Return how many rows the secondary has more than the primary's snapshot; None if it is not known."""
        return None if name in self.uncertain else self._changed[name].more_rows

    def take(self, transaction: Transaction) -> None:
        """Add the rows that a transaction changes.

        Of a transaction that has ended at the first position or before it, only what an XA PREPARE announces counts;
        of one after the last position only statements, which may have run before the tables were opened.
        """
        step = transaction.xa
        is_prepare = step is not None and step.phase is XaPhase.PREPARE
        if transaction.start.at_least(self._interval.high):
            for change in transaction.changes:
                if not isinstance(change, RowEvent):
                    self._take_statement(change)
        elif transaction.is_end and self._interval.low.at_least(transaction.end) and not is_prepare:
            if step is not None:
                self._prepared.pop(step.xid, None)
        else:
            self._take_between(transaction)

    def _take_between(self, transaction: Transaction) -> None:
        step = transaction.xa
        if transaction.is_rolled_back:
            # Rows of its pieces before this one do not count.
            self._doubt()
        if step is None or (step.phase is XaPhase.COMMIT and transaction.changes):
            for name, changes in self._changes(transaction):
                self._add(name, changes, transaction)
        elif step.phase is XaPhase.PREPARE:
            prepared = self._prepared.setdefault(step.xid, {})
            for name, changes in self._changes(transaction):
                prepared.setdefault(name, []).extend(changes)
        elif step.phase is XaPhase.COMMIT:
            self._commit(step.xid, transaction)
        else:
            self._prepared.pop(step.xid, None)

    def _commit(self, xid: str, transaction: Transaction) -> None:
        prepared = self._prepared.pop(xid, None)
        if prepared is None:
            # Its rows are in an earlier part of the log.
            self.has_unknown_xa = True
            self._doubt()
            return
        for name, changes in prepared.items():
            self._add(name, changes, transaction)

    def _doubt(self) -> None:
        self.uncertain.update(self._changed)

    def _changes(self, transaction: Transaction) -> Iterator[tuple[TableName, Sequence[_Change]]]:
        for change in transaction.changes:
            if not isinstance(change, RowEvent):
                self._take_statement(change)
                continue
            name = change.table.name
            if not self._parents.take(change):
                self._doubt()
            if name in self._changed and name not in self.uncertain:
                try:
                    yield name, self._reader(change).read(change)
                except ApplyRefused:
                    # The definition has changed since it was read.
                    self.uncertain.add(name)

    def _take_statement(self, statement: Statement) -> None:
        self._hashes.add(digest(statement))
        self.uncertain |= self._statements.tables_of(statement)

    def _reader(self, event: RowEvent) -> _RowReader:
        reader = self._readers.get(event.head)
        if reader is None:
            table = self._changed[event.table.name].table
            with_images = table.key is None or self._wants_all or bool(self._wanted.get(table.name))
            reader = self._readers[event.head] = _RowReader(
                event.head, table, with_images=with_images, with_values=with_images and self._keeps_values
            )
        return reader

    def _add(self, name: TableName, changes: Sequence[_Change], transaction: Transaction) -> None:
        changed = self._changed[name]
        # The positions are boundaries between transactions: one that begins before a position has ended at it.
        is_applied = not transaction.start.at_least(self._interval.applied)
        sign = self._sign(transaction, is_applied=is_applied)
        more = sum((after is not None) - (before is not None) for before, after in changes)
        if sign is None and more:
            changed.more_rows = None
        elif changed.more_rows is not None:
            changed.more_rows += more * (sign or 0)
        size = changed.size
        if changed.table.key is None:
            self._add_to_balance(changed, changes, sign)
        else:
            self._add_to_keys(changed, changes, is_applied=is_applied)
        self._room -= changed.size - size
        if self._room < 0:
            self.uncertain.add(name)
            self._room += changed.size
            changed.keys.clear()
            changed.values.clear()
            changed.balance.clear()

    def _add_to_keys(self, changed: _TableChanges, changes: Sequence[_Change], *, is_applied: bool) -> None:
        keys, wanted = changed.keys, self._wanted.get(changed.table.name, ())
        for before, after in changes:
            for key, was, becomes in _states(before, after):
                if not (self._wants_all or key in wanted):
                    keys[key] = None
                    continue
                # Of the changes after the position, the first one tells what the row was.
                image = becomes if is_applied else was
                if is_applied or key not in keys:
                    keys[key] = ABSENT if image is None else image.hash
                    if self._keeps_values:
                        changed.values[key] = None if image is None else image.values

    def _sign(self, transaction: Transaction, *, is_applied: bool) -> int | None:
        """Return 1 if the secondary has a transaction that the primary's snapshot does not show, -1 if it lacks one.

        0 if both have it or lack it, None if the primary's snapshot may show it or not.
        """
        interval = self._interval
        is_after = transaction.start.at_least(interval.end)
        if not is_after and transaction.start.at_least(interval.shown):
            return None
        return (1 if is_applied else 0) - (0 if is_after else 1)

    def _add_to_balance(self, changed: _TableChanges, changes: Sequence[_Change], sign: int | None) -> None:
        if sign is None:
            self.uncertain.add(changed.table.name)
            return
        for before, after in changes if sign else ():
            for image, number in ((before, -sign), (after, sign)):
                if image is None:
                    continue
                if image.hash is None:
                    self.uncertain.add(changed.table.name)
                    return
                changed.balance[image.hash] += number
                if not changed.balance[image.hash]:
                    del changed.balance[image.hash]


def _states(before: _Image | None, after: _Image | None) -> Iterator[tuple[KeyLiterals, _Image | None, _Image | None]]:
    """Yield each key of a change, with its row before and after it."""
    if before is not None and after is not None and before.key == after.key:
        yield before.key, before, after
        return
    if before is not None:
        yield before.key, before, None
    if after is not None:
        yield after.key, None, after


def _spelled(literal: bytes) -> str:
    """Return a literal as the servers spell it, with capital hexadecimal digits."""
    head, quote, digits = literal.decode().partition("x'")
    return f"{head}{quote}{digits.upper()}"


class _RowReader:
    """Reads the rows of events with one head."""

    def __init__(self, head: RowHead, table: VerifiedTable, *, with_images: bool, with_values: bool = False) -> None:
        ordinals = {c.name: ordinal for ordinal, c in enumerate(table.logged)}
        pairs = [
            (a.column, b.column)
            for a, b in zip(table.primary.columns, table.secondary.columns, strict=True)
            if not a.column.is_generated
        ]
        names = [column.name for column, _ in pairs]
        logs_json = any(c.column.data_type == "json" for c in table.primary.documents)
        images = ImageTexts(table.logged_part.columns, [ordinals[name] for name in names], logs_json=logs_json)
        self._images = images if with_images and images.is_complete else None
        keys = [Output(ordinals[name], Form.KEY) for name in table.key.names] if table.key else []
        outputs = [*keys, *(self._images.outputs if self._images else ())]
        self._key_width = len(keys)
        self._kind = head.kind
        self._rows = ImageRows(head, table.logged, outputs)
        self._values: ImageRows | None = None
        if with_values:
            # Literals for the secondary's columns, whose types may be others.
            own = {column.name: other for column, other in pairs}
            columns = [own.get(c.name, c) for c in table.logged]
            written = [Output(ordinals[name], Form.VALUE) for name in names]
            self._values = ImageRows(head, columns, written)

    def read(self, event: RowEvent) -> list[_Change]:
        """Return the changes of an event. Raises ApplyRefused if the table does not fit the event."""
        rows = self._rows.read(event)
        values = self._values.read(event) if self._values else [((), ())] * len(rows)
        changes = []
        for (before, after), (old, new) in zip(rows, values, strict=True):
            was = None if self._kind is RowKind.INSERT else self._image(before, old)
            becomes = None if self._kind is RowKind.DELETE else self._image(after, new)
            changes.append(_Change(was, becomes))
        return changes

    def _image(self, row: tuple[bytes, ...], values: tuple[bytes, ...]) -> _Image:
        key = tuple(map(_spelled, row[: self._key_width]))
        row_hash = self._images.hash_of(row[self._key_width :]) if self._images else None
        return _Image(key, row_hash, values or None)
