"""Completes the commands in reports: each gets the options of the command line and of its report's instance."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from replica_cli.core.commands import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.differences import DriftReport
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.reports.pause import PauseReport
    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.reports.repair import RepairPlan, RepairReport
    from replica_cli.core.reports.reset import ResetPlan
    from replica_cli.core.reports.stream import WorkerReport
    from replica_cli.core.reports.transfer import CopyReport, TransferPlan
    from replica_cli.core.reports.verify import ProofReport, VerifyReport

    Reported = (
        CopyReport
        | DriftReport
        | PauseReport
        | PositionReport
        | ProofReport
        | RepairPlan
        | RepairReport
        | ResetPlan
        | TransferPlan
        | VerifyReport
        | WorkerReport
    )

P = ParamSpec("P")
T = TypeVar("T")


def with_complete_commands(render: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that renders reports, so that it gets reports with complete commands."""

    @functools.wraps(render)
    def rendered(*args: P.args, **named: P.kwargs) -> T:
        reports: Any = filled(args)
        return render(*reports, **named)

    return rendered


def filled(value: T) -> T:
    """Return nested reports in which every command has the options of its instance and of the command line."""
    return cast("T", _filled(value, ""))


def failures_of(reports: Sequence[Reported]) -> list[Failure]:
    """Return the failures of reports, with complete commands; if there are several reports, with their instances."""
    failures = []
    for report in filled(tuple(reports)):
        failure = report.failure
        if failure is None:
            continue
        if len(reports) > 1 and not failure.message.startswith(f"{report.instance}:"):
            failure = dataclasses.replace(failure, message=f"{report.instance}: {failure.message}")
        failures.append(failure)
    return failures


def with_complete_statements(reports: Sequence[DriftReport]) -> list[DriftReport]:
    """Return reports in whose statements the commands in comment lines are complete."""
    return [
        dataclasses.replace(r, statements=tuple(_with_commands(s, r.instance) for s in r.statements)) for r in reports
    ]


def _with_commands(statement: str, instance: str) -> str:
    """Return a statement with the commands in its comment lines completed.

    The comment lines come first. The SQL after them does not change.
    """
    lines = statement.split("\n")
    count = next((i for i, line in enumerate(lines) if not line.startswith("-- ")), len(lines))
    return "\n".join([*(fill(line, instance) for line in lines[:count]), *lines[count:]])


def _filled(value: object, instance: str) -> object:
    if isinstance(value, tuple | list):
        return type(value)(_filled(each, instance) for each in value)
    if type(value) is str:
        return fill(value, instance)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        owner = getattr(value, "instance", "") or instance
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **{name: _filled(each, owner) for name, each in fields.items()})
    return value
