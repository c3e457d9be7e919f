"""The session modes in which the secondary accepts rows and definitions of the primary.

A computed value of the primary may have been cut, or may come from other arithmetic, if the primary's session was not
strict or had NO_UNSIGNED_SUBTRACTION. A table may be wider than InnoDB's strict mode allows. The definition does not
show either of these. So the copy uses our own modes first, and other modes only after a refusal that they can explain.
Rows that were written in another mode are compared with the primary in the same transaction.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from typing import TYPE_CHECKING

from replica_cli.logs import Tag, log
from replica_cli.mysql.errnos import ER_CANT_CREATE_TABLE, ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.sqlbuilder.sql_modes import LENIENT_MODE, SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)

_SIGNED = "NO_UNSIGNED_SUBTRACTION"
# Index 0 of an ENUM is the error value that a server stores in place of a refused value. Only a session in a lenient
# mode can write it.
ROW_MODES = (SQL_MODE, f"{SQL_MODE},{_SIGNED}", LENIENT_MODE, f"{LENIENT_MODE},{_SIGNED}")

# No definition is made in a lenient mode: the server would change it silently.
_DDL_SETTINGS = ("innodb_strict_mode = 0", f"sql_mode = '{SQL_MODE},{_SIGNED}'")
_RESET = f"SET SESSION innodb_strict_mode = DEFAULT, sql_mode = '{SQL_MODE}'"
_RESET_WITHOUT_PRIVILEGE = f"SET SESSION sql_mode = '{SQL_MODE}'"
# Wrong options; a row that is too wide; an expression that depends on the mode, or that cannot be computed in it.
_MODE_ERRORS_OF_DDL = frozenset({ER_CANT_CREATE_TABLE, 1031, 1118, 1478, 1690, 1901})
# Out of range; cut; too long; no such value; a check that is not met.
_MODE_ERRORS_OF_ROWS = frozenset({1264, 1265, 1292, 1365, 1366, 1406, 1411, 1690, 3819})


def may_depend_on_mode(error: ServerError, definition: TableDefinition) -> bool:
    """Return True if rows may be refused because of values that the secondary computes, so that another mode may help.

    All other values are the primary's own.
    """
    computes = any(c.is_generated for c in definition.columns) or bool(definition.checks)
    return computes and error.errno in _MODE_ERRORS_OF_ROWS


def make(session: Session, statement: str, table: TableName, *, is_foreign_key: bool = False) -> None:
    """Run a statement that makes or alters a table, in the first mode in which the server accepts it.

    Raises:
        ServerError: the refusal in our own mode, if no mode helps.
    """
    # A foreign key that does not fit has the same error number as a wrong option, and no mode helps.
    mode_errors = _MODE_ERRORS_OF_DDL - {ER_CANT_CREATE_TABLE} if is_foreign_key else _MODE_ERRORS_OF_DDL
    (answer,) = session.execute_ones([statement])
    _retry_or_raise(session, statement, table, answer, mode_errors)


def make_each(session: Session, statements: Sequence[str], table: TableName) -> None:
    """Run statements one after the other as `make` does; if the server accepts all, this is one round trip.

    Raises:
        ServerError: the first refusal. The statements after that one were run too.
    """
    answers = session.execute_ones(statements)
    for number, (statement, answer) in enumerate(zip(statements, answers, strict=True)):
        if isinstance(answer, ServerError):
            _retry_or_raise(session, statement, table, answer, _MODE_ERRORS_OF_DDL)
            # The later statements were run before this statement had succeeded, so they are run again.
            for later in statements[number + 1 :]:
                make(session, later, table)
            return


def _retry_or_raise(
    session: Session, statement: str, table: TableName, answer: int | ServerError, mode_errors: frozenset[int]
) -> None:
    if isinstance(answer, ServerError) and (
        answer.errno not in mode_errors or not _succeeds_in_other_mode(session, statement, table)
    ):
        raise answer


def _succeeds_in_other_mode(session: Session, statement: str, table: TableName) -> bool:
    try:
        for count in range(1, len(_DDL_SETTINGS) + 1):
            for settings in itertools.combinations(_DDL_SETTINGS, count):
                with contextlib.suppress(ServerError):
                    session.execute(f"SET SESSION {', '.join(settings)}")
                    session.execute_one(statement)
                    log(
                        logger, logging.INFO, Tag.INFO, "%s: the table is made with %s, as the primary's was", table,
                        ", ".join(settings), instance=session.server.name,
                    )  # fmt: skip
                    return True
    finally:
        _reset_mode(session)
    return False


def _reset_mode(session: Session) -> None:
    try:
        session.execute(_RESET)
    except ServerError as error:
        if error.errno != ER_SPECIFIC_ACCESS_DENIED:
            raise
        session.execute(_RESET_WITHOUT_PRIVILEGE)
