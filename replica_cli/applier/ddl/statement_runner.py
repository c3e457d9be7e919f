"""Runs one statement of the primary on the applier's session, with the settings that it had on the primary.

After the statement the session gets the applier's settings back.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused, LockWait
from replica_cli.mysql.errnos import ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.mysql.session_settings import LOCK_WAITS, assignments
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.applier.ddl.lock_waits import LockPatience
    from replica_cli.applier.ddl.statement_session import StatementPlan
    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)


class StatementRunner:
    """Runs statements on the session that holds the writer's lock, so that a process that lost the lock runs none."""

    def __init__(self, session: Session, patience: LockPatience) -> None:
        self._session = session
        self._patience = patience

    @contextlib.contextmanager
    def waiting_for(self, position: Position) -> Iterator[None]:
        """Limit how long one attempt at the statement at a position waits for locks of other connections.

        If a LockWait ends the attempt, its `is_over` says whether the statement has waited as long as it may.
        """
        seconds = str(self._patience.begin(position))
        self._session.execute(assignments(tuple((name, seconds) for name, _ in LOCK_WAITS)))
        is_tried_again = False
        try:
            yield
        except LockWait as error:
            self._patience.end()
            error.is_over = self._patience.is_over
            is_tried_again = not error.is_over
            raise
        except ServerError as error:
            if error.is_connection_lost:
                self._patience.lose()
                is_tried_again = True
            raise
        finally:
            if not is_tried_again:
                self._patience.forget()
            self._restore(assignments(LOCK_WAITS))

    def lost_attempts(self, position: Position) -> int:
        """Return the number of attempts at the statement at a position if they used up its time to wait, else 0.

        Each attempt lost its connection, as through a proxy that cuts a connection on which nothing moves. Such an
        attempt looks the same as one that waits for a lock.
        """
        return self._patience.attempts if self._patience.is_spent_on(position) else 0

    def run(self, plan: StatementPlan, text: bytes, schema: str, shown: str) -> None:
        """Run a statement with the settings of its plan.

        Args:
            plan: what to run before and after the statement.
            text: the statement, in its client's charset.
            schema: the default schema on the secondary, empty for none.
            shown: the statement as errors show it.

        Raises:
            ServerError: if the server refuses the statement, or the connection is lost.
            ApplyRefused: if our user may not set a variable that the statement needs.

        """
        is_entered = False
        try:
            if schema:
                self._session.execute(f"USE {quote(schema)}")
            self._enter(plan, shown)
            is_entered = True
            self._session.execute_one(text)
        finally:
            # A SET that the server refuses has changed nothing.
            if is_entered:
                self._restore(plan.leave)

    def _enter(self, plan: StatementPlan, shown: str) -> None:
        try:
            self._session.execute(plan.enter)
        except ServerError as error:
            if error.errno != ER_SPECIFIC_ACCESS_DENIED:
                raise
            names = ", ".join(self._refused(plan.differing) or plan.differing)
            raise ApplyRefused(
                f"this user on {error.server} may not set variables that a statement needs ({names}): {shown}",
                hint="GRANT SESSION_VARIABLES_ADMIN ON *.* TO this user (MariaDB: SUPER), or give the secondary the "
                f"primary's global values of {names}",
                table=plan.parsed.tables[0] if plan.parsed.tables else None,
            ) from error

    def _refused(self, names: tuple[str, ...]) -> list[str]:
        """Return those of the variables that our user may not set.

        Each is tried alone, as the refusal of a SET names only the privilege, not the variable.
        """
        refused = []
        for name in names:
            try:
                self._session.execute(f"SET SESSION {name} = @@SESSION.{name}")
            except ServerError as error:
                if error.errno != ER_SPECIFIC_ACCESS_DENIED:
                    raise
                refused.append(name)
        return refused

    def _restore(self, leave: str) -> None:
        try:
            self._session.execute(leave)
        except ServerError as error:
            if not error.is_connection_lost:
                # Autocommit is still on, so each later statement would commit by itself: rows without their position,
                # or an intent without both.
                self._session.abort()
            logger.debug("the session cannot be used any more", exc_info=True)
