"""Find out if tables hold rows, without waiting for transactions that are not committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.mysql.session import Session


def have_rows(session: Session, queries: Sequence[str]) -> list[bool]:
    """Return for each query, in order, whether it has a row. Raises ServerError.

    A consistent read goes through all rows that another transaction has inserted and not committed, and through their
    undo records. That takes minutes for a million rows, and the other transaction hardly advances in that time. So the
    first read includes rows that are not committed, and a row in its answer counts: such a table is not empty. The
    answer lacks rows that are deleted and not committed. So if it has no row, the consistent read decides.
    """
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
    try:
        has_rows = [bool(rows) for rows in session.rows_of_each(queries)]
    finally:
        session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    doubtful = [number for number, has_row in enumerate(has_rows) if not has_row]
    consistent_answers = session.rows_of_each([queries[n] for n in doubtful]) if doubtful else []
    for number, rows in zip(doubtful, consistent_answers, strict=True):
        has_rows[number] = bool(rows)
    return has_rows
