"""Reads the pages that a batch will change into the secondary's buffer pool, a little before the batch changes them.

It helps where the secondary waits for its disk. The applying session reads one page after another. A second session
reads the rows of the batch and their index entries before it, so the server reads two pages at a time. The second
session takes no locks, changes nothing and does not wait for other sessions; what it does not read in time, the
applying session reads itself. The server's counters show how far the applying session is. Only a few rows are read
ahead, as the pages of too many rows would push each other out of the buffer pool.
The applier passes each batch to it. The thread starts with the first large batch, and sends nothing to the server while
nothing is applied.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from replica_cli.applier.engines.definitions import definition_of
from replica_cli.applier.engines.row_plan import columns_for, is_present
from replica_cli.applier.prefetch.gain import PrefetchGain
from replica_cli.core.errors import ApplyRefused, Drift, ReplicaError, UnsupportedEvent
from replica_cli.core.events import RowEvent, RowKind
from replica_cli.decoder.compile import Form, Output, compile_pairs
from replica_cli.sqlbuilder.rows.lookups import lookup_of, lookup_queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from replica_cli.applier.engines.definitions import Definitions
    from replica_cli.core.events import RowHead, Transaction
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.decoder.compile import RowsFunction
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.lookups import Lookup
    from replica_cli.sqlbuilder.rows.row_statements import Literals

logger = logging.getLogger(__name__)

# A smaller batch is applied before anything could be read ahead of it.
LEAST_EVENTS = 100
# Applied rows after which it is decided again whether reading ahead is worth its cost.
_JUDGED_ROWS = 200
# What is read ahead takes at most 1/_POOL_SHARE of the buffer pool, and at most this number of rows.
_POOL_SHARE = 6
_MOST_ROWS = 300
_PAUSE_SECONDS, _PAUSE_OFF_SECONDS = 0.01, 0.25
# If the counters stay the same in this number of polls, the batch is applied, or waits for something else.
_IDLE_POLLS = 4
# `stop` does not wait longer for a connection that is being opened: the thread notices the end after that.
_STOP_SECONDS = 1.0
_READS = "Innodb_buffer_pool_reads"
# Not Handler_write on MySQL: it also counts the rows of temporary tables, and each SHOW makes one.
_ROWS_MARIADB = ("Handler_delete", "Handler_update", "Handler_write")
_ROWS_MYSQL = ("Innodb_rows_deleted", "Innodb_rows_updated", "Innodb_rows_inserted")


class _Counts(NamedTuple):
    """The server's counters: rows changed and pages read from disk. `at` is a time of the monotonic clock."""

    rows: int
    reads: int
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """How the rows of events with one head are decoded and looked up.

    `decode` returns for each row the literals of `lookup.names` after the change, then those before it. The row of an
    INSERT or DELETE has them only once. `width` is the number of these names.
    """

    definition: TableDefinition
    decode: RowsFunction
    width: int
    lookup: Lookup


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    events: Sequence[RowEvent]
    shapes: Mapping[RowHead, _Shape]

    def rows(self) -> Iterator[tuple[_Shape, Literals, Literals]]:
        """Yield the literals of each row after its change and before it: of each key only the first change."""
        seen: set[tuple[str, Literals]] = set()
        for event in self.events:
            shape = self.shapes.get(event.head)
            if shape is None:
                continue
            for row in shape.decode(event.raw, event.head.rows_start, len(event.raw)):
                after, before = row[: shape.width], row[-shape.width :]
                key = (str(shape.definition.name), before[: shape.lookup.key_width])
                if key not in seen:
                    seen.add(key)
                    yield shape, after, before


class Prefetch:
    """Owns the thread that reads ahead and its session. The applier's thread calls `take`.

    `connect` opens the session, in autocommit and READ UNCOMMITTED.

    Attributes:
        rows: how many rows were read ahead.
        is_on: True while rows are read ahead, because that is worth its cost.
        is_resting: True while the thread waits for a batch and sends nothing to the server.
        is_over: True after `stop` or an error: nothing is read ahead any more.

    """

    def __init__(self, connect: Callable[[], Session], selection: Selection, *, instance: str) -> None:
        self._connect = connect
        self._selection = selection
        self._instance = instance
        self._shapes: dict[RowHead, _Shape] = {}
        self._changed = threading.Condition()
        self._batch: _Batch | None = None
        self._session: Session | None = None
        self._gain = PrefetchGain()
        self._thread: threading.Thread | None = None
        self.is_over = False
        self.is_resting = False
        self.is_on = False
        self.rows = 0

    def take(self, transactions: Sequence[Transaction], definitions: Definitions) -> None:
        """Begin to read ahead of a batch that is about to be sent, and forget the batch before it. Does not wait."""
        if self.is_over:
            return
        events = [change for t in transactions for change in t.changes if isinstance(change, RowEvent)]
        batch = None
        if len(events) >= LEAST_EVENTS:
            batch = _Batch(events, self._shapes_of(events, definitions))
        with self._changed:
            self._batch = batch
            self._changed.notify()
        if batch is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and its session; wait at most a second for that."""
        with self._changed:
            self.is_over, self._batch = True, None
            self._changed.notify()
            if self._session is not None:
                self._session.abort()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            with self._connect() as session:
                with self._changed:
                    self._session = session
                pages = _pages(session)
                batch = None
                while (batch := self._next(batch)) is not None:
                    self._read_ahead(session, batch, pages)
        except ReplicaError as error:
            if not self.is_over:
                logger.debug("%s: nothing is read ahead any more: %s", self._instance, error)
        finally:
            with self._changed:
                self.is_over, self._session = True, None

    def _next(self, last: _Batch | None) -> _Batch | None:
        """Wait for another batch than the last one and return it, None after `stop`."""
        with self._changed:
            self.is_resting = True
            self._changed.wait_for(lambda: self.is_over or self._batch not in (None, last))
            self.is_resting = False
            return None if self.is_over else self._batch

    def _is_past(self, batch: _Batch, seconds: float) -> bool:
        """Return True if the applier is past a batch, or has ended; wait up to `seconds` for that."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_over or self._batch is not batch, seconds)

    def _read_ahead(self, session: Session, batch: _Batch, pages: int) -> None:
        begin = judged = last = _counts(session)
        rows = batch.rows()
        taken = idle = 0
        pause = 0.0 if self.is_on else _PAUSE_OFF_SECONDS
        while not self._is_past(batch, pause) and idle < _IDLE_POLLS:
            now = _counts(session)
            pause = 0.0
            idle = idle + 1 if now.rows == last.rows else 0
            last = now
            if now.rows - judged.rows >= _JUDGED_ROWS:
                self._judge(now, judged)
                judged = now
            if not self.is_on:
                pause = _PAUSE_OFF_SECONDS
                continue
            applied = now.rows - begin.rows
            first = next(rows, None)
            if first is None:
                return
            window = max(3, min(_MOST_ROWS, pages // first[0].lookup.pages))
            rows = itertools.chain([first], rows)
            if taken < applied:
                # Skip the rows that are being applied just then too: both sessions would wait for the same pages.
                skipped = applied + window // 3 - taken
                taken += sum(1 for _ in itertools.islice(rows, skipped))
            if taken >= applied + window:
                pause = _PAUSE_SECONDS
                continue
            idle = 0
            ahead = list(itertools.islice(rows, window // 3))
            taken += len(ahead)
            self._look_up(session, ahead)

    def _judge(self, now: _Counts, before: _Counts) -> None:
        """Switch reading ahead on or off, by the time and the page reads of the rows applied between two counts."""
        rows, reads, seconds = now.rows - before.rows, now.reads - before.reads, now.at - before.at
        is_on = self._gain.should_read_ahead(is_on=self.is_on, rows=rows, reads=reads, seconds=seconds)
        if is_on != self.is_on:
            self.is_on = is_on
            logger.debug(
                "%s: reading ahead %s: %.1f pages from disk for each row, %.0f rows a second", self._instance,
                "begins" if is_on else "ends", reads / rows, rows / seconds,
            )  # fmt: skip

    def _look_up(self, session: Session, rows: Sequence[tuple[_Shape, Literals, Literals]]) -> None:
        for _, group in itertools.groupby(rows, lambda row: row[0].lookup):
            alike = list(group)
            queries = lookup_queries(alike[0][0].lookup, [(after, before) for _, after, before in alike])
            session.rows_of_each(queries)
        self.rows += len(rows)

    def _shapes_of(self, events: Sequence[RowEvent], definitions: Definitions) -> Mapping[RowHead, _Shape]:
        shapes: dict[RowHead, _Shape | None] = {}
        for head, event in {event.head: event for event in events}.items():
            try:
                definition = definition_of(event, definitions, self._selection)
                known = self._shapes.get(head)
                shapes[head] = known if known and known.definition is definition else _shape(event, definition)
            except (ApplyRefused, Drift, UnsupportedEvent):
                continue  # the engine raises the same error when it applies the event
        self._shapes = {head: shape for head, shape in shapes.items() if shape is not None}
        return self._shapes


def _shape(event: RowEvent, definition: TableDefinition) -> _Shape | None:
    head = event.head
    lookup = lookup_of(definition, is_update=head.kind is RowKind.UPDATE)
    if lookup is None or head.is_partial_json:
        return None
    columns = columns_for(head.table, definition)
    ordinals = {column.name: ordinal for ordinal, column in enumerate(columns)}
    bitmaps = (head.present, head.present_after) if lookup.is_update else (head.present,)
    wanted = [ordinals.get(name, -1) for name in lookup.names]
    if any(ordinal < 0 or not is_present(bitmap, ordinal) for ordinal in wanted for bitmap in bitmaps):
        return None
    outputs = [Output(ordinal, Form.KEY) for ordinal in wanted]
    return _Shape(definition, compile_pairs(head, columns, outputs), len(outputs), lookup)


def _counts(session: Session) -> _Counts:
    names = (*(_ROWS_MARIADB if session.is_mariadb else _ROWS_MYSQL), _READS)
    listed = ",".join(f"'{name}'" for name in names)
    values = {
        str(name): int(value) for name, value in session.rows(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({listed})")
    }
    reads = values.pop(_READS, 0)
    return _Counts(sum(values.values()), reads, time.monotonic())


def _pages(session: Session) -> int:
    """Return how many pages of the buffer pool may hold what is read ahead, 0 if that is unknown."""
    row = session.row("SELECT @@GLOBAL.innodb_buffer_pool_size DIV @@GLOBAL.innodb_page_size")
    return int(row[0]) // _POOL_SHARE if row else 0
