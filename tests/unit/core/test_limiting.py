"""Which part limits a stream, from the seconds of its parts."""

from __future__ import annotations

import pytest

from replica_cli.core.limiting import LIMITING_PARTS, NAMES, REMEDIES, Part, known_part, limit_text, limiting_part


def limit(lag: float | None = 61.0, most: float = 60.0, **seconds: float) -> Part | None:
    spent = {Part(name): value for name, value in seconds.items()}
    return limiting_part(spent, lag_seconds=lag, max_lag_seconds=most)


@pytest.mark.parametrize(
    ("seconds", "part"),
    [
        ({"link": 9.0, "building": 1.0}, Part.LINK),
        ({"secondary": 9.0, "building": 1.0}, Part.SECONDARY),
        ({"commit": 9.0, "building": 1.0}, Part.COMMIT),
        ({"building": 9.0, "secondary": 1.0}, Part.BUILDING),
        # The next batch is built during the work of the secondary: so a secondary that is always busy is seen in waits.
        ({"building": 6.5, "secondary": 3.5}, Part.SECONDARY),
        # Both are waits for the secondary; the larger one is named.
        ({"building": 7.0, "secondary": 1.6, "commit": 1.4}, Part.SECONDARY),
        ({"building": 7.0, "secondary": 1.4, "commit": 1.6}, Part.COMMIT),
        ({"link": 2.9, "building": 4.0, "secondary": 1.5, "commit": 1.6}, Part.COMMIT),
        ({"link": 3.2, "building": 3.7, "secondary": 1.5, "commit": 1.6}, Part.LINK),
        ({"link": 2.4, "building": 7.6}, Part.BUILDING),
        # A primary that sends nothing limits nothing.
        ({"primary": 9.0, "building": 1.0}, None),
        ({"primary": 10.0}, None),
        # It was not streaming: it was connecting, or paused.
        ({"secondary": 0.5}, None),
        ({}, None),
    ],
)
def test_the_part_that_is_waited_for_limits_and_else_the_work(seconds: dict[str, float], part: Part | None) -> None:
    assert limit(**seconds) is part


@pytest.mark.parametrize("lag", [None, 0.0, 60.0])
def test_nothing_limits_a_stream_whose_lag_is_not_above_its_limit(lag: float | None) -> None:
    assert limit(lag, secondary=10.0) is None


def test_each_part_that_can_limit_has_a_name_and_a_remedy() -> None:
    assert set(LIMITING_PARTS) == set(NAMES) == set(REMEDIES) == set(Part) - {Part.PRIMARY}
    assert limit_text(Part.LINK) == "limited by the link to the primary"


@pytest.mark.parametrize(
    ("name", "part"), [("link", Part.LINK), ("primary", None), ("", None), (None, None), (3, None)]
)
def test_a_name_that_another_version_wrote_is_no_part(name: object, part: Part | None) -> None:
    assert known_part(name) is part
