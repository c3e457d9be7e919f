"""Prove the tables again and again while a stream runs, within a budget of rows a second.

It runs in a thread of the worker, with sessions of its own, and writes nothing but what it has proven. It begins with
the table that was proven the longest time ago, waits while the stream is behind or a server is busy, and while somebody
runs `replica verify run`.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Self

from replica_cli.checkpoint.proofs import ProofStore, RunKind
from replica_cli.checkpoint.verify_lock import is_verifying
from replica_cli.core.errors import Interrupted, ReplicaError
from replica_cli.core.status import STREAMING_PHASES
from replica_cli.core.verification import shown_key
from replica_cli.core.wording import counted
from replica_cli.logs import Tag, log
from replica_cli.mysql.session import connect
from replica_cli.runtime.log_part import LogParts
from replica_cli.runtime.verify_tables import Instance, read_compared_again, read_compared_tables
from replica_cli.stop import StopToken
from replica_cli.verify.guard import limits_of
from replica_cli.verify.run import Work, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.verification import Difference, VerifyProgress
    from replica_cli.mysql.session import Session
    from replica_cli.runtime.status_publisher import StatusPublisher
    from replica_cli.verify.tables import VerifiedTable

logger = logging.getLogger(__name__)

_POLL_SECONDS = 2.0
# How long the scrub waits after an error, and after too many differences.
_ERROR_SECONDS, _TOO_MANY_SECONDS = 30.0, 600.0
_MAX_DIFFERENCES = 10_000
# How many rows that differ are logged in a row. `replica verify show` lists all.
_LOGGED = 10


class Scrub:
    """The scrub of one worker. Its thread starts with the context."""

    def __init__(self, settings: Settings, server: Server, publisher: StatusPublisher) -> None:
        """Prepare; nothing is connected.

        Args:
            settings: the settings of the worker.
            server: the secondary.
            publisher: says if the stream runs, and takes what is counted.
        """
        self._settings = settings
        self._server = server
        self._publisher = publisher
        self._end = StopToken()
        self._cycle_end = StopToken()
        self._rows = 0
        self._logged = 0
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def take(self, settings: Settings) -> None:
        """Use other settings: the cycle that runs ends, and goes on with them. From any thread."""
        self._settings = settings
        self._cycle_end.request()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.request()
        self._cycle_end.request()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        seconds = _POLL_SECONDS
        while not self._end.wait(seconds):
            seconds = _POLL_SECONDS
            if not self._settings.verify.rate or not self._is_streaming:
                continue
            self._cycle_end = StopToken()
            try:
                seconds = self._cycle(self._settings)
            except Interrupted:
                continue
            except ReplicaError as error:
                seconds = _ERROR_SECONDS
                log(
                    logger, logging.WARNING, Tag.VERIFY, "the scrub goes on in %d s: %s", seconds, error.message,
                    instance=self._server.name, subject="the scrub goes on",
                )  # fmt: skip

    @property
    def _is_streaming(self) -> bool:
        return self._publisher.status.phase in STREAMING_PHASES

    def _cycle(self, settings: Settings) -> float:
        """Compare all tables once, or what a cycle that was interrupted has left. Return how long to wait after it."""
        key = (settings.state_schema, self._server.name)
        with ExitStack() as stack:
            servers = (settings.primary, self._server, self._server)
            primary, secondary, state = (stack.enter_context(connect(each, settings.network)) for each in servers)
            store = ProofStore(state, *key, RunKind.SCRUB)
            compared = read_compared_tables(Instance(settings, self._server, primary, secondary), ())
            primary.close()
            last, identity = store.last_run(), compared.facts.identity
            is_resumed = last is not None and not last.is_done and last.source_identity == identity
            number = last.number if last is not None and is_resumed else store.begin_run((), identity)
            known = sum(store.difference_counts().values())
            if known >= _MAX_DIFFERENCES:
                return self._rest(store, number)
            work = Work(
                settings=settings,
                server=self._server,
                facts=compared.facts,
                run_number=number,
                proofs=store,
                read_log=LogParts(settings, compared.facts).read,
                limits=limits_of(settings.verify),
                workers=1,
                rate=settings.verify.rate,
                max_differences=_MAX_DIFFERENCES - known,
                wants_rows=False,
                keeps_rows=False,
                report=self._note,
                plan_again=partial(read_compared_again, settings, self._server),
                on_difference=self._log_difference,
                hold=lambda: self._reason_to_wait(secondary),
                largest_first=False,
            )
            self._logged = 0
            outcome = run(work, _oldest_first(compared.tables, store), store.progress(number), self._cycle_end)
            if outcome.has_too_many:
                return self._rest(store, number)
            undecided = {**compared.refused, **outcome.undecided}
            store.end_run(number, {str(name): reason for name, reason in undecided.items()})
            store.keep_only(compared.names - outcome.gone)
        return _POLL_SECONDS

    def _rest(self, store: ProofStore, number: int) -> float:
        """Note that too many rows differ; return how long to wait for their repair."""
        store.note_too_many(number)
        log(
            logger, logging.WARNING, Tag.VERIFY, "%s known: the scrub rests for ten minutes",
            counted(_MAX_DIFFERENCES, "difference"), instance=self._server.name,
        )  # fmt: skip
        return _TOO_MANY_SECONDS

    def _reason_to_wait(self, session: Session) -> str:
        if not self._is_streaming:
            return "the stream does not run"
        if is_verifying(session, self._settings.state_schema, self._server.name):
            return "a command compares the rows"
        return ""

    def _note(self, progress: VerifyProgress) -> None:
        self._publisher.measures.note_verified(max(0, progress.rows - self._rows))
        self._rows = progress.rows

    def _log_difference(self, difference: Difference) -> None:
        self._logged += 1
        if self._logged <= _LOGGED:
            log(
                logger, logging.WARNING, Tag.VERIFY, "%s %s: %s", difference.table, difference.kind,
                shown_key(difference), instance=self._server.name, position=difference.position,
            )  # fmt: skip


def _oldest_first(tables: Sequence[VerifiedTable], store: ProofStore) -> list[VerifiedTable]:
    """Return tables in the order in which they were proven; those that never were come first."""
    ages: Mapping[TableName, str] = {p.table: str(p.proven_at) for p in store.proofs()}
    return sorted(tables, key=lambda t: ages.get(t.name, ""))
