"""Sessions are closed if their opening fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.mysql.session import closing_on_error

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


class Closed:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_sessions_are_closed_if_opening_fails(error: type[BaseException]) -> None:
    sessions = Closed(), Closed()
    with pytest.raises(error), closing_on_error(*(cast("Session", s) for s in sessions)):
        raise error
    assert all(s.is_closed for s in sessions)


def test_sessions_that_are_handed_over_stay_open() -> None:
    session = Closed()
    with closing_on_error(cast("Session", session)):
        pass
    assert not session.is_closed
