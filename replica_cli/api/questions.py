"""What the API asks the servers, through the services: one place to see what HTTP can read and change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli import documents
from replica_cli.core.requests.reset import ResetRequest
from replica_cli.core.requests.transfer import TransferMode, TransferRequest
from replica_cli.documents.complete_commands import with_complete_statements
from replica_cli.service.drift import check_each_drift
from replica_cli.service.pause import ask_to_pause
from replica_cli.service.position import show_positions
from replica_cli.service.reset import plan_reset, run_reset
from replica_cli.service.transfer import plan_transfer, run_transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.reporter import Reporter
    from replica_cli.core.reports.pause import PauseReport
    from replica_cli.core.reports.reset import ResetPlan
    from replica_cli.core.reports.transfer import TransferReport
    from replica_cli.core.requests.reset import ResetKind
    from replica_cli.core.settings import Server, Settings
    from replica_cli.documents.shapes import DriftDocument, PositionsDocument
    from replica_cli.service.transfer import PlannedTransfer
    from replica_cli.stop import StopToken

# A thread is taken while a server does not answer. A client waits for most answers. A comparison is a job, and reads
# the whole catalog of a server.
_ANSWER_SECONDS = 15.0
_CATALOG_SECONDS = 120.0


class Questions:
    """Asks the servers. Each method waits for them, so it is called from a thread."""

    def __init__(self, settings: Callable[[], Settings], secondaries: tuple[Server, ...]) -> None:
        self._settings, self._secondaries = settings, secondaries

    def positions(self) -> PositionsDocument:
        """Return the answer of `position show`."""
        return documents.positions_document(show_positions(self._patient_settings(), self._secondaries))

    def drift(self, secondaries: Sequence[Server]) -> DriftDocument:
        """Return the answer of `drift check`."""
        settings = self._patient_settings(_CATALOG_SECONDS)
        return documents.drift_document(with_complete_statements(check_each_drift(settings, secondaries)))

    def pause(self, secondary: Server, stop: StopToken, *, is_wanted: bool) -> PauseReport:
        """Ask one secondary's process to pause, or to go on."""
        (report,) = ask_to_pause(self._patient_settings(), (secondary,), is_wanted=is_wanted, stop=stop)
        return report

    def plan_transfer(self, secondaries: tuple[Server, ...], tables: tuple[TableName, ...]) -> TransferTask:
        """Return what copying tables again would do."""
        request = TransferRequest(secondaries, TransferMode.NEW, tables)
        # The copy itself has the waits of the settings: it takes as long as it takes, and can be cancelled.
        return TransferTask(self._settings(), plan_transfer(self._patient_settings(), request))

    def plan_reset(
        self, secondaries: tuple[Server, ...], kind: ResetKind, position: Position | None, *, accepts_filters: bool
    ) -> ResetTask:
        """Return what a reset of the saved position would do."""
        settings = self._patient_settings()
        request = ResetRequest(secondaries, kind, position, accepts_filters=accepts_filters)
        return ResetTask(settings, plan_reset(settings, request))

    def _patient_settings(self, seconds: float = _ANSWER_SECONDS) -> Settings:
        """Return the settings with waits of at most this many seconds."""
        settings = self._settings()
        network = settings.network
        bounded = replace(
            network,
            connect_timeout=min(network.connect_timeout, _ANSWER_SECONDS),
            query_timeout=min(network.query_timeout, seconds),
        )
        return replace(settings, network=bounded)


class TransferTask:
    """A planned transfer, with the settings with which it was planned."""

    def __init__(self, settings: Settings, plans: tuple[PlannedTransfer, ...]) -> None:
        self._settings = settings
        self.plans = plans

    def run(self, reporter: Reporter, stop: StopToken) -> TransferReport:
        """Do what the plan says."""
        return run_transfer(self._settings, self.plans, reporter, stop)


class ResetTask:
    """A planned reset, with the settings with which it was planned."""

    def __init__(self, settings: Settings, plans: tuple[ResetPlan, ...]) -> None:
        self._settings = settings
        self.plans = plans

    def run(self) -> None:
        """Do what the plan says."""
        run_reset(self._settings, self.plans)
