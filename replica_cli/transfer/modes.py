"""The session modes in which the secondary takes what the primary holds.

A value that the server computes was cut, or came from other arithmetic, if the primary's session was not strict or had
NO_UNSIGNED_SUBTRACTION; a table may be wider than InnoDB's strict mode lets it be. Neither says so in its definition.
So our own modes come first, and others only after a refusal that they can explain. What was written in another mode is
compared with the primary in the same transaction.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from typing import TYPE_CHECKING

from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_CANT_CREATE_TABLE, ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.mysql.session_settings import SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)

_SIGNED = "NO_UNSIGNED_SUBTRACTION"
# Index 0 of an ENUM is the mark of a value that was refused once; only a lenient session writes it.
LENIENT = SQL_MODE.replace("STRICT_ALL_TABLES,", "")
ROW_MODES = (SQL_MODE, f"{SQL_MODE},{_SIGNED}", LENIENT, f"{LENIENT},{_SIGNED}")

# A definition is never made in a lenient mode: the server would mend it and not say so.
_MAKING = ("innodb_strict_mode = 0", f"sql_mode = '{SQL_MODE},{_SIGNED}'")
_AS_BEFORE = f"SET SESSION innodb_strict_mode = DEFAULT, sql_mode = '{SQL_MODE}'"
_AS_BEFORE_WITHOUT_RIGHTS = f"SET SESSION sql_mode = '{SQL_MODE}'"
# Wrong options, a row that is too wide; an expression that depends on the mode, or does not come out in this one.
_OF_MAKING = frozenset({ER_CANT_CREATE_TABLE, 1031, 1118, 1478, 1690, 1901})
# Out of range, cut, too long, no such value; a check that is not met.
_OF_ROWS = frozenset({1264, 1265, 1292, 1365, 1366, 1406, 1411, 1690, 3819})


def may_be_of_the_mode(error: ServerError, definition: TableDefinition) -> bool:
    """Say whether rows were refused for what the secondary computes: written values are the primary's own."""
    computes = any(c.is_generated for c in definition.columns) or bool(definition.checks)
    return computes and error.errno in _OF_ROWS


def make(session: Session, statement: str, table: TableName, *, is_foreign_key: bool = False) -> None:
    """Run a statement that makes or alters a table, in the first modes in which the server takes it.

    Raises ServerError: the refusal in our own modes.
    """
    # A foreign key that does not fit has the number of a wrong option, and fits in no mode.
    passing = _OF_MAKING - {ER_CANT_CREATE_TABLE} if is_foreign_key else _OF_MAKING
    (answer,) = session.execute_ones([statement])
    _take(session, statement, table, answer, passing)


def make_each(session: Session, statements: Sequence[str], table: TableName) -> None:
    """Run statements as `make` does, one after the other; if the server takes all of them, this is one round trip.

    Raises ServerError: the first refusal. The statements after that one were run too.
    """
    answers = session.execute_ones(statements)
    for number, (statement, answer) in enumerate(zip(statements, answers, strict=True)):
        if isinstance(answer, ServerError):
            _take(session, statement, table, answer, _OF_MAKING)
            # They ran before this statement was made to work.
            for left in statements[number + 1 :]:
                make(session, left, table)
            return


def _take(
    session: Session, statement: str, table: TableName, answer: int | ServerError, passing: frozenset[int]
) -> None:
    if isinstance(answer, ServerError) and (
        answer.errno not in passing or not _made_otherwise(session, statement, table)
    ):
        raise answer


def _made_otherwise(session: Session, statement: str, table: TableName) -> bool:
    try:
        for count in range(1, len(_MAKING) + 1):
            for settings in itertools.combinations(_MAKING, count):
                with contextlib.suppress(ServerError):
                    session.execute(f"SET SESSION {', '.join(settings)}")
                    session.execute_one(statement)
                    log(
                        logger, logging.INFO, Tag.INFO, "%s: the table is made with %s, as the primary's was", table,
                        ", ".join(settings), instance=session.server.name,
                    )  # fmt: skip
                    return True
    finally:
        _set_back(session)
    return False


def _set_back(session: Session) -> None:
    try:
        session.execute(_AS_BEFORE)
    except ServerError as error:
        if error.errno != ER_SPECIFIC_ACCESS_DENIED:
            raise
        session.execute(_AS_BEFORE_WITHOUT_RIGHTS)
