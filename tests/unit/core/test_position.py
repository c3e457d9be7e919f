"""Positions: their order, and their text form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.errors import PositionsIncomparable
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
def test_texts_that_are_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="FILE:POS"):
        parse_file_position(text)


def test_how_it_is_shown() -> None:
    assert str(Position("b.000001", 4, "0-1-2")) == "b.000001:4"
    assert str(Position("", 0, "0-1-2")) == "gtid 0-1-2"
    assert str(Position("", 0)) == "-"


SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


@dataclass(frozen=True)
class History:
    """A log: the positions after each number of transactions, before and after a rotation there."""

    is_mariadb: bool
    rotations: frozenset[int]
    count: int

    def gtid(self, number: int) -> str:
        """Return the GTID of one transaction, counted from 1."""
        return f"0-7-{number}" if self.is_mariadb else f"{SERVER}:{number}"

    def gtids(self, number: int) -> str:
        """Return the set of the first transactions."""
        if not number:
            return ""
        return self.gtid(number) if self.is_mariadb else f"{SERVER}:1-{number}"

    def file_number(self, number: int) -> int:
        """Return the number of the file in which the transaction after these begins."""
        return 1 + sum(1 for rotation in self.rotations if rotation <= number)

    def position(self, number: int) -> Position:
        """Return the position after some transactions, in the newest file that begins there."""
        return Position(f"binlog.{self.file_number(number):06d}", 4 + number * 100, self.gtids(number))


HISTORIES = st.builds(History, st.booleans(), st.frozensets(st.integers(0, 20), max_size=3), st.integers(1, 20))


def without_file(position: Position) -> Position:
    return replace(position, file="", pos=0)


def without_set(position: Position) -> Position:
    return replace(position, gtid="")


@given(HISTORIES, st.data())
def test_positions_have_the_order_of_their_transactions(history: History, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(1, history.count)) for _ in range(2))
    for shape in (lambda p: p, without_file, without_set):
        one, other = shape(history.position(a)), shape(history.position(b))
        assert one.at_least(other) == (a >= b)
        assert one.is_before(other) == (a < b)
        assert one.is_same(other) == (a == b)
        assert one.has_all_of(other) == (a >= b)
    # One position of the two may lack what the other one has, as long as they have something in common.
    for shape in (without_file, without_set):
        assert history.position(a).at_least(shape(history.position(b))) == (a >= b)
        assert shape(history.position(a)).at_least(history.position(b)) == (a >= b)


@given(HISTORIES, st.data())
def test_a_transaction_is_before_the_positions_after_it(history: History, data: st.DataObject) -> None:
    number, of_position = data.draw(st.integers(1, history.count)), data.draw(st.integers(0, history.count))
    start, gtid = history.position(number - 1), history.gtid(number)
    for shape in (lambda p: p, without_file, without_set):
        boundary = shape(history.position(of_position))
        assert boundary.is_after_transaction(start, gtid) == (number <= of_position)


def test_the_end_of_a_file_has_all_of_the_beginning_of_the_next() -> None:
    end, beginning = Position("b.000001", 900, "0-1-9"), Position("b.000002", 4, "0-1-9")
    assert end.has_all_of(beginning)
    assert not end.at_least(beginning)
    assert not without_set(end).has_all_of(without_set(beginning))


def test_positions_without_anything_in_common_are_not_compared() -> None:
    file, gtids = Position("b.000001", 900), Position("", 0, "0-1-9")
    for one, other in ((file, gtids), (gtids, file)):
        for compare in (one.at_least, one.is_before, one.is_same, one.has_all_of):
            with pytest.raises(PositionsIncomparable, match=r"b\.000001:900.*gtid 0-1-9|gtid 0-1-9.*b\.000001:900"):
                compare(other)
    with pytest.raises(PositionsIncomparable):
        gtids.is_after_transaction(file, "")


def test_sets_of_which_none_has_all_of_the_other() -> None:
    one, other = Position("", 0, "0-1-5,1-1-3"), Position("", 0, "0-1-4,1-1-4")
    assert not one.at_least(other)
    assert not other.at_least(one)
    assert not one.is_before(other)


def test_the_position_of_a_server_that_has_executed_nothing() -> None:
    nothing = Position("", 0)
    assert Position("", 0, f"{SERVER}:1-3").at_least(nothing)
    assert not nothing.at_least(Position("", 0, f"{SERVER}:1-3"))
    assert nothing.is_same(nothing)
