"""Reading ahead goes on only as long as more rows are applied with it than without."""

from __future__ import annotations

from replica_cli.applier.prefetch.gain import PrefetchGain


def decisions(with_it: float, without: float, *, reads: int = 1000, looks: int = 60) -> list[bool]:
    """Return the decisions, check by check, if 100 rows take these seconds."""
    gain, is_on, found = PrefetchGain(), False, []
    for _ in range(looks):
        is_on = gain.should_read_ahead(is_on=is_on, rows=100, reads=reads, seconds=with_it if is_on else without)
        found.append(is_on)
    return found


def test_rows_in_memory_are_never_read_ahead() -> None:
    assert not any(decisions(0.1, 1.0, reads=150))


def test_it_goes_on_where_it_helps_and_is_compared_from_time_to_time() -> None:
    found = decisions(0.5, 1.0)
    assert found[0]
    assert found.count(False) <= 3


def test_it_ends_where_it_does_not_help_and_is_tried_again() -> None:
    found = decisions(1.1, 1.0)
    assert found[:2] == [True, False]
    assert 2 <= found.count(True) <= 5


def test_it_ends_with_the_waits_for_the_disk() -> None:
    gain = PrefetchGain()
    assert gain.should_read_ahead(is_on=False, rows=100, reads=500, seconds=1.0)
    assert gain.should_read_ahead(is_on=True, rows=100, reads=150, seconds=0.5)
    assert not gain.should_read_ahead(is_on=True, rows=100, reads=99, seconds=0.5)
