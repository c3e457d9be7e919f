"""What the tests of the package `api` share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _without_dropped_records(monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests of this process may have used Graylog.
    monkeypatch.setattr("replica_cli.logs.setup._dropped_before", 0)
