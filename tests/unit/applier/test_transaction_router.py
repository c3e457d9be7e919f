"""Which way each transaction goes, and which of them share a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.transaction_router import Route, TransactionRouter, route_of
from replica_cli.core.events import SessionContext, Statement, Transaction, XaPhase, XaStep
from replica_cli.stop import StopToken
from tests.unit.applier.rig import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = transaction(10, "a", "b")
STATEMENT = Statement(b"DROP TABLE t", "s", SessionContext())
OF_STATEMENTS = ROWS._replace(changes=(STATEMENT, STATEMENT))
MIXED = ROWS._replace(changes=(ROWS.changes[0], STATEMENT))
STEP = XaStep(XaPhase.PREPARE, "X'01',X'',1")


@pytest.mark.parametrize(
    ("given", "route"),
    [
        (ROWS, Route.ROWS),
        (transaction(10), Route.ROWS),
        (OF_STATEMENTS, Route.STATEMENTS),
        (MIXED, Route.MIXED),
        (ROWS._replace(changes=(STATEMENT, ROWS.changes[0])), Route.MIXED),
        (ROWS._replace(is_end=False), Route.PIECE),
        (ROWS._replace(is_start=False, is_end=False), Route.PIECE),
        (OF_STATEMENTS._replace(is_start=False), Route.PIECE),
        (ROWS._replace(xa=STEP), Route.XA),
        (transaction(10)._replace(xa=STEP), Route.XA),
        (ROWS._replace(xa=STEP, is_end=False), Route.XA),
        (OF_STATEMENTS._replace(xa=STEP), Route.XA),
    ],
)
def test_a_transaction_is_classified_by_what_it_holds(given: Transaction, route: Route) -> None:
    assert route_of(given) is route


def test_only_statements_alone_cannot_fail_by_a_row() -> None:
    assert [route for route in Route if not route.may_hold_rows] == [Route.STATEMENTS]


def routed(given: list[Transaction], *, most: int = 100, size_bytes: int = 1000, stop: StopToken | None = None) -> str:
    """Return the portions as text: the ends of transactions, and the route of those that are no batch of rows."""
    router = TransactionRouter(size_bytes, stop or StopToken())
    return " ".join(
        "+".join(str(t.end.pos) for t in portion) + ("" if route is Route.ROWS else f":{route.value}")
        for route, portion in router.routed(given, lambda: most)
    )


def rows(*numbers: int) -> list[Transaction]:
    return [transaction(number, "a") for number in numbers]


def test_batches_are_cut_by_number_and_by_size() -> None:
    assert routed(rows(1, 2, 3, 4, 5)) == "1+2+3+4+5"
    assert routed(rows(1, 2, 3, 4, 5), most=2) == "1+2 3+4 5"
    assert routed(rows(1, 2, 3, 4), most=2) == "1+2 3+4"
    assert routed(rows(1, 2, 3, 4, 5), size_bytes=3) == "1+2+3 4+5"
    assert routed([]) == ""


def test_a_transaction_that_goes_by_itself_ends_the_batch_before_it() -> None:
    given = [*rows(1, 2), OF_STATEMENTS, MIXED, *rows(11)]
    assert routed(given) == "1+2 10:statements 10:mixed 11"


def test_the_limit_is_asked_for_again_after_each_portion() -> None:
    limits = iter([1, 3, 2])
    router = TransactionRouter(1000, StopToken())
    portions = list(router.routed(rows(1, 2, 3, 4, 5), lambda: next(limits)))
    assert [len(portion) for _, portion in portions] == [1, 3, 1]


def test_a_stop_takes_effect_between_two_batches() -> None:
    stop = StopToken()
    router = TransactionRouter(1000, stop)
    portions = router.routed([*rows(1, 2, 3), OF_STATEMENTS, *rows(11)], lambda: 2)
    assert next(portions)[0] is Route.ROWS
    stop.request()
    assert list(portions) == []
    assert routed(rows(1), stop=stop) == ""


def test_a_stop_inside_a_batch_lets_it_be_filled() -> None:
    stop = StopToken()

    class Stopping(list[Transaction]):
        def __iter__(self) -> Iterator[Transaction]:
            for number, item in enumerate(super().__iter__()):
                if number:
                    stop.request()
                yield item

    assert routed(Stopping(rows(1, 2, 3, 4)), most=3, stop=stop) == "1+2+3"
