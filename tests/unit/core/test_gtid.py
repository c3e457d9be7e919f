"""GTID sets of both flavours, against plain Python sets."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.gtid import MariadbGtids, MysqlGtids, covers, parse_gtids

SOURCES = [
    "00000000-0000-0000-0000-00000000000a",
    "00000000-0000-0000-0000-00000000000b",
    "00000000-0000-0000-0000-00000000000a:tag",
]
SETS = st.sets(st.tuples(st.sampled_from(SOURCES), st.integers(1, 25)), max_size=40)


def numbers(text: str) -> set[tuple[str, int]]:
    """Read a set with nothing of the code under test."""
    found = set()
    for part in filter(None, text.split(",")):
        source = part[:36]
        for item in part[37:].split(":"):
            low, _, high = item.partition("-")
            if not low.isdigit():
                source = f"{part[:36]}:{item}"
                continue
            found |= {(source, n) for n in range(int(low), int(high or low) + 1)}
    return found


def made(members: set[tuple[str, int]]) -> MysqlGtids:
    gtids = MysqlGtids()
    for source, number in members:
        gtids.add(f"{source}:{number}")
    return gtids


@given(SETS)
def test_adding_in_any_order_and_its_text(members: set[tuple[str, int]]) -> None:
    text = str(made(members))
    assert numbers(text) == members
    assert str(MysqlGtids(text)) == text
    # Merged: as many intervals as there are gaps.
    gaps = sum((source, number - 1) not in members for source, number in members)
    assert (
        len([item for part in filter(None, text.split(",")) for item in part[37:].split(":") if item[0].isdigit()])
        == gaps
    )


@given(SETS, SETS)
def test_what_one_set_has_and_another_lacks(one: set[tuple[str, int]], other: set[tuple[str, int]]) -> None:
    assert numbers(str(made(one).minus(made(other)))) == one - other
    source, number = SOURCES[2], 7
    assert made(one).has(f"{source}:{number}") == ((source, number) in one)
    assert made(one).add(f"{source}:{number}") == ((source, number) not in one)


def test_the_form_of_a_dump_request() -> None:
    uuid = "00000000-0000-0000-0000-00000000000a"
    plain = MysqlGtids(f"{uuid}:1-5:7").encode()
    source = bytes(15) + b"\x0a"
    assert plain == struct.pack("<Q", 1) + source + struct.pack("<QQQQQ", 2, 1, 6, 7, 8)
    # One entry for each tag; the form is at both ends of the first number, the tag's length is doubled.
    tagged = MysqlGtids(f"{uuid}:1,{uuid}:ab:3-4").encode()
    assert tagged[:8] == b"\x01\x02\0\0\0\0\0\x01"
    assert tagged[8:] == (
        source + b"\0" + struct.pack("<QQQ", 1, 1, 2) + source + b"\x04ab" + struct.pack("<QQQ", 1, 3, 5)
    )
    assert MysqlGtids("").encode() == bytes(8)


@given(SETS, SETS)
def test_contains(one: set[tuple[str, int]], two: set[tuple[str, int]]) -> None:
    assert made(one).contains(made(two)) == (two <= one)
    assert covers(str(made(one)), str(made(two))) == (two <= one)


@given(SETS, st.sampled_from(SOURCES), st.integers(1, 25))
def test_a_copy_is_one_of_its_own(members: set[tuple[str, int]], source: str, number: int) -> None:
    first = made(members)
    second = first.copy()
    second.add(f"{source}:{number}")
    assert numbers(str(first)) == members
    assert numbers(str(second)) == members | {(source, number)}


def test_overlaps_newlines_and_capitals() -> None:
    text = f"{SOURCES[0].upper()}:1-5:3-9:11,\n{SOURCES[1]}:7, {SOURCES[0]}:10"
    assert str(MysqlGtids(text)) == f"{SOURCES[0]}:1-11,{SOURCES[1]}:7"


def test_tags_are_sources_of_their_own() -> None:
    gtids = MysqlGtids(f"{SOURCES[0]}:1-3:tag:1-2:other:5")
    assert numbers(str(gtids)) == {(SOURCES[0], n) for n in (1, 2, 3)} | {(SOURCES[2], 1), (SOURCES[2], 2)} | {
        (f"{SOURCES[0]}:other", 5)
    }
    assert not gtids.contains(MysqlGtids(f"{SOURCES[0]}:5"))


@pytest.mark.parametrize(
    "text", ["x", "uuid:1-5", SOURCES[0], f"{SOURCES[0]}:", f"{SOURCES[0]}:5-1", f"{SOURCES[0]}:0", f"{SOURCES[0]}:1-x"]
)
def test_what_is_no_mysql_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"GTID"):
        MysqlGtids(text)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 99)), max_size=20))
def test_mariadb_keeps_the_last_of_each_domain(members: list[tuple[int, int, int]]) -> None:
    gtids = MariadbGtids()
    for member in members:
        gtids.add("{}-{}-{}".format(*member))
    last = {domain: f"{domain}-{server}-{sequence}" for domain, server, sequence in members}
    assert str(gtids) == ",".join(last[d] for d in sorted(last))
    assert str(MariadbGtids(str(gtids))) == str(gtids)
    assert gtids.contains(gtids.copy())


def test_mariadb_contains() -> None:
    assert covers("0-1-100,1-2-7", "0-3-99")
    assert covers("0-1-100", "")
    assert not covers("0-1-100", "0-1-101")
    assert not covers("0-1-100", "2-1-1")


@pytest.mark.parametrize("text", ["0-1", "0-1-2-3", "a-b-c", "0-1-x"])
def test_what_is_no_mariadb_state(text: str) -> None:
    with pytest.raises(ValueError, match="MariaDB GTID"):
        parse_gtids(text, is_mariadb=True)


def test_a_source_is_written_once_with_its_tags_after_it() -> None:
    source = SOURCES[0].partition(":")[0]
    text = f"{source}:1-5:7:blue:1-2:red:9"
    assert str(MysqlGtids(text)) == text
    assert str(MysqlGtids(f"{source}:red:9,{source}:blue:1-2,{source}:7,{source}:1-5")) == text
