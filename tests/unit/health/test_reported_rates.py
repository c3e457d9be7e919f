"""What a heartbeat says about the rates of its process, and until when that counts."""

from __future__ import annotations

from typing import Any

import pytest

from replica_cli.core.status import Phase
from tests.unit.health.states import state

RATES: dict[str, Any] = {"rows_per_second": 30.5, "transactions_per_second": 4}


def test_a_fresh_heartbeat_has_the_rates_of_its_process() -> None:
    assert state(**RATES).reported_rates == (30.5, 4.0)


@pytest.mark.parametrize(("phase", "age"), [(Phase.STREAMING, 3.0), (Phase.STOPPED, 0.5), (Phase.FAILED, 0.5)])
def test_rates_of_an_old_heartbeat_or_an_ended_process_count_no_more(phase: Phase, age: float) -> None:
    assert state(phase, age, **RATES).reported_rates == (None, None)


def test_a_copy_has_rows_and_no_transactions() -> None:
    copy = {"instance": "db2", "tables": [], "elapsed_seconds": 2.0, "rows_per_second": 900.0, "errors": 0}
    assert state(Phase.TRANSFERRING, transfer=copy, **RATES).reported_rates == (900.0, None)


def test_rates_that_another_version_wrote_in_another_form_are_unknown() -> None:
    assert state(rows_per_second="many").reported_rates == (None, None)
