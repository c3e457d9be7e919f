"""Each transition of a table's life cycle: from which states, to which, and with which positions."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import EndedCopy, NewCopy, QuarantineCause, TableRecord
from replica_cli.core.position import Position
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from tests.support.state_in_memory import StateInMemory
from tests.support.table_records import put

if TYPE_CHECKING:
    from collections.abc import Callable

PENDING, COPYING, COPIED = TableState.PENDING, TableState.COPYING, TableState.COPIED
CATCHING_UP, QUARANTINED = TableState.CATCHING_UP, TableState.QUARANTINED
NAME, OTHER = TableName("shop", "orders"), TableName("shop", "other")
TOKEN = 7
# No record: the table is live.
LIVE = None
ANY = (LIVE, *TableState)


def at(pos: int) -> Position:
    return Position("binlog.000007", pos, f"0-1-{pos}")


RECORDS = {
    PENDING: TableRecord(NAME, PENDING, "why"),
    COPYING: TableRecord(NAME, COPYING, "why", copy_start=at(100)),
    COPIED: TableRecord(NAME, COPIED, copy_start=at(100), window_end=at(200), row_count=5),
    CATCHING_UP: TableRecord(
        NAME, CATCHING_UP, copy_start=at(100), applied_to=at(100), window_end=at(200), row_count=5
    ),
    QUARANTINED: TableRecord(NAME, QUARANTINED, "why", stopped_at=at(150), failed_transaction=at(160)),
}


def copying(tables: TableLifecycle) -> None:
    tables.session.execute(tables.copy_started_statement(NewCopy(NAME, "why", at(300))))


def caught_up(tables: TableLifecycle) -> None:
    tables.session.execute(tables.caught_up_statement([NAME], at(100), at(150), TOKEN))


def end_quarantine(tables: TableLifecycle) -> None:
    tables.session.execute(tables.end_quarantine_statement(NAME))


def forget_all(tables: TableLifecycle) -> None:
    tables.session.execute(tables.forget_all_statement())


def drop(tables: TableLifecycle, *, must_catch_up: bool) -> None:
    tables.drop_on_primary(tables.load()[NAME], at(300), must_catch_up=must_catch_up)


# What is called, the legal states before, and the state after.
TRANSITIONS: dict[str, tuple[Callable[[TableLifecycle], Any], tuple[TableState | None, ...], TableState | None]] = {
    "request_copies": (lambda t: t.request_copies([NAME], "why"), ANY, PENDING),
    "begin_copies": (lambda t: t.begin_copies([NewCopy(NAME, "why", at(300))]), ANY, COPYING),
    "begin_copies, later": (lambda t: t.begin_copies([NewCopy(NAME, "why")]), ANY, PENDING),
    "copy_started": (copying, (PENDING, COPYING), COPYING),
    "end_copies": (lambda t: t.end_copies([EndedCopy(NAME, at(100), at(200), 5)]), (COPYING,), COPIED),
    "end_copies, passed": (
        lambda t: t.end_copies([EndedCopy(NAME, at(100), at(200), 5, must_catch_up=True)]), (COPYING,), CATCHING_UP
    ),
    "hand_over": (lambda t: t.hand_over([NAME], at(200), TOKEN), (CATCHING_UP,), LIVE),
    "hand_over, open window": (lambda t: t.hand_over([NAME], at(199), TOKEN), (CATCHING_UP,), COPIED),
    "quarantine": (lambda t: t.quarantine([QuarantineCause(NAME, "why", at(150))]), ANY, QUARANTINED),
    "drop_on_primary": (lambda t: drop(t, must_catch_up=False), (PENDING, COPYING), COPIED),
    "drop_on_primary, unknown": (lambda t: drop(t, must_catch_up=True), (PENDING, COPYING), CATCHING_UP),
    "replace_primary": (lambda t: t.replace_primary(), (PENDING, COPYING, CATCHING_UP), PENDING),
    "leave_out": (lambda t: t.leave_out([NAME]), ANY, LIVE),
    "forget_all": (forget_all, ANY, LIVE),
}  # fmt: skip
# In another state than these the record stays as it is: another process may have written it.
CHECKED: dict[str, tuple[Callable[[TableLifecycle], Any], TableState, TableState | None]] = {
    "caught_up": (caught_up, CATCHING_UP, CATCHING_UP),
    "hand_over": (lambda t: t.hand_over([NAME], at(200), TOKEN), CATCHING_UP, LIVE),
    "end_windows": (lambda t: t.end_windows([NAME], TOKEN), COPIED, LIVE),
    "note_refusal": (lambda t: t.note_refusal(NAME, "no such engine"), QUARANTINED, QUARANTINED),
    "end_quarantine": (end_quarantine, QUARANTINED, LIVE),
}


@pytest.fixture
def session() -> StateInMemory:
    made = StateInMemory()
    made.execute(
        "INSERT INTO `state`.binlog_position (instance, file, pos, gtid, source_identity, filters, filters_text, token,"
        f" updated_at) VALUES ('db1', 'binlog.000007', 4, '', '', '', '', {TOKEN}, '')"
    )
    return made


@pytest.fixture
def tables(session: StateInMemory) -> TableLifecycle:
    return TableLifecycle(cast("Any", session), "state", "db1")


def given(tables: TableLifecycle, state: TableState | None) -> TableRecord | None:
    """Bring a table into a state; return its record as it is read back."""
    if state is LIVE:
        return None
    record = RECORDS[state]
    put(tables, replace(record, copy_start=record.copy_start or at(100)))
    return tables.load()[NAME]


def cases() -> list[tuple[str, TableState | None]]:
    return [(name, state) for name, (_, states, _) in TRANSITIONS.items() for state in states]


@pytest.mark.parametrize("state", RECORDS)
def test_a_record_is_read_as_it_was_written(tables: TableLifecycle, state: TableState) -> None:
    record = given(tables, state)
    assert record == RECORDS[state]


@pytest.mark.parametrize(("name", "state"), cases())
def test_a_transition_leads_from_each_legal_state_to_its_end(
    tables: TableLifecycle, name: str, state: TableState | None
) -> None:
    call, _, after = TRANSITIONS[name]
    put(tables, TableRecord(OTHER, PENDING, "another table"))
    given(tables, state)
    call(tables)
    records = tables.load()
    assert (records[NAME].state if NAME in records else LIVE) is after
    assert OTHER in records or name == "forget_all"


@pytest.mark.parametrize("state", ANY)
@pytest.mark.parametrize("name", CHECKED)
def test_a_record_in_another_state_stays(tables: TableLifecycle, name: str, state: TableState | None) -> None:
    call, legal, after = CHECKED[name]
    before = given(tables, state)
    call(tables)
    record = tables.load().get(NAME)
    if state is legal:
        assert (record.state if record else LIVE) is after
        assert record != before
    else:
        assert record == before


def test_every_transition_of_the_docstring_is_walked() -> None:
    lines = [line.split("|")[1:4] for line in str(TableLifecycle.__doc__).splitlines() if line.strip().startswith("|")]
    named = {name.strip() for row in lines[2:] for name in row[0].split(",")}
    assert named == {name.partition(",")[0] for name in (*TRANSITIONS, *CHECKED)}


def test_another_instance_is_not_touched(session: StateInMemory, tables: TableLifecycle) -> None:
    others = TableLifecycle(cast("Any", session), "state", "db2")
    given(others, QUARANTINED)
    for call, states, _ in TRANSITIONS.values():
        given(tables, states[-1])
        call(tables)
    assert others.load() == {NAME: RECORDS[QUARANTINED]}


def test_the_reason_of_a_quarantine_stays_until_the_copy_has_ended(tables: TableLifecycle) -> None:
    put(tables, replace(RECORDS[QUARANTINED], reason="row missing"), TableRecord(OTHER, COPYING, "an earlier reason"))
    tables.request_copies([NAME, OTHER], "asked for")
    assert {r.name: r.reason for r in tables.load().values()} == {NAME: "row missing", OTHER: "asked for"}


def test_a_quarantine_is_logged_once_for_each_table(tables: TableLifecycle, caplog: pytest.LogCaptureFixture) -> None:
    causes = [QuarantineCause(NAME, "row missing", at(150)), QuarantineCause(OTHER, "row missing")]
    with caplog.at_level(logging.ERROR):
        records = tables.quarantine(causes)
    assert [r.getMessage() for r in caplog.records] == [
        f"is quarantined: row missing; `replica transfer --table {name}` copies it again" for name in (NAME, OTHER)
    ]
    assert tables.load() == {r.name: r for r in records}


@pytest.mark.parametrize("token", [TOKEN, TOKEN + 1])
@pytest.mark.parametrize("before", [100, 101])
def test_a_catch_up_advances_only_from_its_position_and_with_its_token(
    tables: TableLifecycle, token: int, before: int
) -> None:
    given(tables, CATCHING_UP)
    matched = tables.session.execute(tables.still_catching_up_statement([NAME], at(before), token))
    matched += tables.session.execute(tables.caught_up_statement([NAME], at(before), at(150), token))
    is_valid = token == TOKEN and before == 100
    assert matched == (2 if is_valid else 0)
    assert tables.load()[NAME].covered_to == at(150 if is_valid else 100)


@pytest.mark.parametrize(
    ("position", "applied_to", "window_end", "expected"),
    [
        # The catch-up is at the stream's position, in the window: the window stays open.
        (150, 150, 200, (150, 200)),
        # The stream is behind the catch-up: it skips what is applied, then the window goes on, or is over.
        (120, 150, 200, (150, 200)),
        (120, 300, 200, (300, 300)),
        # The window is over: the table is live.
        (200, 150, 200, None),
        (300, 300, 200, None),
    ],
)
def test_the_window_of_a_hand_over(
    tables: TableLifecycle, position: int, applied_to: int, window_end: int, expected: tuple[int, int] | None
) -> None:
    tables.end_copies([EndedCopy(NAME, at(100), at(window_end), must_catch_up=True)])
    tables.session.execute(tables.caught_up_statement([NAME], at(100), at(applied_to), TOKEN))
    assert tables.hand_over([NAME, OTHER], at(position), TOKEN) == [NAME]
    record = tables.load().get(NAME)
    if expected is None:
        assert record is None
    else:
        assert record is not None
        assert record == TableRecord(
            NAME, COPIED, copy_start=at(100), applied_to=at(expected[0]), window_end=at(expected[1])
        )


@pytest.mark.parametrize("position", [150, 200], ids=["the window is open", "the window is over"])
def test_a_process_that_was_taken_over_hands_nothing_over(tables: TableLifecycle, position: int) -> None:
    # The other process streams from its own position, and lets the table catch up with that.
    before = given(tables, CATCHING_UP)
    tables.hand_over([NAME], at(position), TOKEN - 1)
    assert tables.load() == {NAME: before}


def test_a_process_that_was_taken_over_ends_no_window(tables: TableLifecycle) -> None:
    before = given(tables, COPIED)
    tables.end_windows([NAME], TOKEN - 1)
    assert tables.load() == {NAME: before}


def test_a_table_that_is_dropped_on_the_primary_has_no_window(tables: TableLifecycle) -> None:
    given(tables, COPYING)
    drop(tables, must_catch_up=False)
    assert tables.load() == {NAME: TableRecord(NAME, COPIED, "why", copy_start=at(300), window_end=at(300))}


def test_another_primary_leaves_gtids_only(tables: TableLifecycle) -> None:
    given(tables, COPIED)
    put(tables, replace(RECORDS[QUARANTINED], name=OTHER))
    tables.replace_primary()
    records = tables.load()
    assert (records[NAME].copy_start, records[NAME].window_end) == (
        Position("", 0, "0-1-100"),
        Position("", 0, "0-1-200"),
    )
    assert records[OTHER] == replace(RECORDS[QUARANTINED], name=OTHER)


def test_many_copies_are_recorded_in_the_order_of_their_statements(
    session: StateInMemory, tables: TableLifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[bytes]] = []
    monkeypatch.setattr(session, "execute_each", lambda statements: sent.append(list(statements)))
    tables.begin_copies([NewCopy(TableName("shop", f"t{n}")) for n in range(250)], [b"FIRST"])
    assert [len(packet) for packet in sent] == [2, 1, 2]
    assert (sent[0][0], sent[-1][-1]) == (b"FIRST", b"COMMIT")
    tables.begin_copies([], [b"FIRST"])
    assert sent[-1] == [b"FIRST", b"COMMIT"]
