from __future__ import annotations

from replica_cli.logs.repeats import RepeatLimit


def test_repeats_are_held_back_and_counted() -> None:
    now = [0.0]
    limit = RepeatLimit(lambda: now[0])
    assert limit.admit(30, "a") == 0
    assert limit.admit(30, "b") == 0
    assert [limit.admit(30, "a") for _ in range(3)] == [None, None, None]
    now[0] = 30.0
    assert limit.admit(30, "a") == 3
    assert limit.admit(30, "a") is None


def test_keys_are_bounded() -> None:
    limit = RepeatLimit(lambda: 0.0)
    for key in range(5000):
        assert limit.admit(30, key) == 0
    assert len(limit._seen) <= 1000
