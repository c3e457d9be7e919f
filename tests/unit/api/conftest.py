from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.unit.api.site import Site, serving_site

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give a running server of a stream, with a token."""
    with serving_site(monkeypatch) as made:
        yield made


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    logger = logging.getLogger("replica_cli")
    before = logger.level
    logger.setLevel("INFO")
    yield
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def _without_dropped_records(monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests of this process may have used Graylog.
    monkeypatch.setattr("replica_cli.logs.setup._dropped_before", 0)
