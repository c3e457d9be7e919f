"""Places in the log: their order and how people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.position import Position, file_number, parse_file_position

PLACES = st.builds(Position, st.integers(1, 3_000_000).map(lambda n: f"binlog.{n:06d}"), st.integers(4, 2**63))


@given(PLACES)
def test_what_is_shown_can_be_typed(place: Position) -> None:
    assert parse_file_position(str(place)) == place


@given(PLACES, PLACES)
def test_order_is_that_of_numbers(one: Position, two: Position) -> None:
    key = [(int(p.file.split(".")[1]), p.pos) for p in (one, two)]
    assert (one.order < two.order) == (key[0] < key[1])


def test_a_file_beyond_a_million() -> None:
    assert Position("b.999999", 9).order < Position("b.1000000", 4).order
    assert file_number("my.own-log.000042") == 42
    assert file_number("nonsense") == -1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "binlog.000001",
        "binlog.000001:",
        "binlog:4",
        "binlog.000001:3",
        "b.1:-4",
        "b.x:4",
        "b.000001:4x",
        ":4",
        "b.000001:1e3",
        "b.000001:²",
    ],
)
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="FILE:POS"):
        parse_file_position(text)


def test_how_it_is_shown() -> None:
    assert str(Position("b.000001", 4, "0-1-2")) == "b.000001:4"
    assert str(Position("", 0, "0-1-2")) == "gtid 0-1-2"
    assert str(Position("", 0)) == "-"
