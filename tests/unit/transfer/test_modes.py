"""Which refusals of a definition are tried again in another mode."""

from __future__ import annotations

import pytest

from replica_cli.core.table import TableName
from replica_cli.mysql.errnos import ServerError, remedy_of
from replica_cli.transfer.modes import make


class Refusing:
    """A session that refuses each definition with one error."""

    def __init__(self, errno: int) -> None:
        self.errno = errno
        self.definitions = 0

    def execute(self, statement: str) -> None:
        """Take a SET."""

    def execute_ones(self, statements: list[str]) -> list[ServerError]:
        """Refuse."""
        self.definitions += len(statements)
        return [ServerError(self.errno, statement, "db2", remedy=remedy_of(self.errno)) for statement in statements]

    def execute_one(self, statement: str) -> None:
        """Refuse."""
        raise self.execute_ones([statement])[0]


@pytest.mark.parametrize(
    ("errno", "is_foreign_key", "attempts"), [(1005, False, 4), (1005, True, 1), (1118, True, 4), (1064, False, 1)]
)
def test_a_foreign_key_that_does_not_fit_is_tried_once(errno: int, attempts: int, *, is_foreign_key: bool) -> None:
    session = Refusing(errno)
    with pytest.raises(ServerError):
        make(session, "ALTER", TableName("a", "b"), is_foreign_key=is_foreign_key)  # type: ignore[arg-type]
    assert session.definitions == attempts
