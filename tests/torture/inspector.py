"""Runs `health` and `position show` for one secondary during a round, and checks their answers."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from replica_cli.config.loading import load_settings
from replica_cli.core.requests.health import HealthRequest
from replica_cli.documents import health_document, positions_document
from replica_cli.mysql.errnos import ServerError
from replica_cli.service.health import check_health
from replica_cli.service.position import show_positions
from tests.torture.claims import (
    LOG_STALE_SECONDS,
    Look,
    Sample,
    caught_up_times,
    wrong_in_health,
    wrong_in_log,
    wrong_in_positions,
)
from tests.torture.tables import SCHEMA, STATE_SCHEMA

if TYPE_CHECKING:
    from types import TracebackType

    from replica_cli.sandbox.server import SandboxServer
    from tests.torture.site import Site
    from tests.torture.writer import Writer

_PAUSE_SECONDS = 0.4
_ANSWER_SECONDS = 10.0
_LEAVE_SECONDS = 60.0
_MOST = 12  # the rest of a round's accusations says the same


class Inspector:
    """Asks in a thread of its own while its context lasts; `problems` are what was wrong.

    It asks in the way of the commands, by the same functions, in this process: that costs no interpreter's start, so a
    round is asked dozens of times. The commands themselves are asked once a round, at rest.
    """

    def __init__(self, site: Site, primary: SandboxServer, writer: Writer) -> None:
        self.site = site
        self.questions = 0
        self._primary = primary
        self._writer = writer
        self._problems: list[str] = []
        self._behind: list[tuple[float, float]] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"inspector {site}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(_LEAVE_SECONDS)

    def problems(self) -> list[str]:
        """Return what was untrue, in the answers and in the log since the last round."""
        found = self._problems[:_MOST]
        for log in self.site.new_log_lines():
            found += wrong_in_log(
                log.lines, self.site.name, self.site.lost_times(), was_replaced=log.frozen_at is not None
            )
            # A frozen stream that wakes up writes what it knew before, until it learns that another one took over.
            known_until = math.inf if log.frozen_at is None else log.frozen_at
            found += [
                f"untrue: caught up in the log, while transactions of {at - since:.0f} s before were missing"
                for at in caught_up_times(log.lines, self.site.name)
                for since, until in self._behind
                if since + LOG_STALE_SECONDS < at <= min(until, known_until)
            ][:1]
        return [f"{self.site}: {each}" for each in found]

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_SECONDS):
            try:
                self._ask()
            except Exception as error:  # noqa: BLE001 - a thread's top; health never raises, so this is a finding
                self._problems.append(f"asking failed: {type(error).__name__}: {error}")

    def _ask(self) -> None:
        settings = load_settings(None, self.site.post.environment(), self.site.post.folder / "no.env")
        settings = replace(settings, network=replace(settings.network, query_timeout=_ANSWER_SECONDS))
        server = next(s for s in settings.secondaries if s.name == self.site.name)
        before, acknowledged, asked_at = self._look(with_ledger=False), self._writer.acknowledged(), time.time()
        health = health_document(check_health(settings, HealthRequest((server,))))
        asked_again_at = time.time()
        positions = positions_document(show_positions(settings, (server,)))
        after, now = self._look(with_ledger=True), time.time()
        sample = self._confirmed(Sample(
            self.site.name, asked_at, acknowledged, before, after,
            may_be_lost=any(begin <= now and end >= asked_at for begin, end in self.site.lost_times()),
            took_seconds=now - asked_at,
        ))  # fmt: skip
        self.questions += 1
        if not sample.may_be_lost and (missing := sample.missing()):
            self._behind.append((min(missing.values()), now))
        self._problems += wrong_in_health(health, sample)
        self._problems += wrong_in_positions(positions, replace(sample, asked_at=asked_again_at))

    def _confirmed(self, sample: Sample) -> Sample:
        """Return the sample with those transactions alone that the primary still has: crashes may take some back."""
        missing = sample.missing()
        if not missing:
            return sample
        numbers = ",".join(map(str, missing))
        there: set[int] = set()
        with contextlib.suppress(ServerError), self._primary.session() as session:
            sql = f"SELECT number FROM {SCHEMA}.ledger WHERE number IN ({numbers})"
            there = {int(number) for (number,) in session.rows(sql)}
        return replace(sample, acknowledged={n: at for n, at in missing.items() if n in there})

    def _look(self, *, with_ledger: bool) -> Look | None:
        """Return the secondary's tables and ledger of one moment, None while it cannot be read."""
        states = f"SELECT table_name, state FROM {STATE_SCHEMA}.table_state WHERE instance = '{self.site.name}'"
        ledger = f"SELECT number FROM {SCHEMA}.ledger WHERE number >= {self._writer.first_number}"
        numbers: frozenset[int] | None = None
        try:
            with self.site.server.session() as session:
                session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                noted = {str(table): str(state) for table, state in session.rows(states)}
                if with_ledger:
                    with contextlib.suppress(ServerError):  # a copy drops the table and makes it again
                        numbers = frozenset(int(number) for (number,) in session.rows(ledger))
        except ServerError:
            return None
        return Look(numbers, noted)
