"""Whether a table holds a row, found out without a wait for transactions that are not committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.mysql.session import Session


def find_any(session: Session, queries: Sequence[str]) -> list[bool]:
    """Return for each query, in order, whether it has a row. Raises ServerError.

    A consistent read goes through all rows that another transaction has inserted and not committed, and through their
    undo records: minutes for a million, in which that transaction hardly moves. So the first question reads what is not
    committed as well, and a row in its answer counts: such a table is not empty. Rows that are deleted and not
    committed are not in the answer, so if it has no row, the consistent read decides.
    """
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    try:
        found = [bool(rows) for rows in session.rows_of_each(queries)]
    finally:
        session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    doubtful = [number for number, has_row in enumerate(found) if not has_row]
    asked_again = session.rows_of_each([queries[n] for n in doubtful]) if doubtful else []
    for number, rows in zip(doubtful, asked_again, strict=True):
        found[number] = bool(rows)
    return found
