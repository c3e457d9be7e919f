"""Runs one statement of the primary on the secondary's session: in its own session's settings, and back again."""

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

    from replica_cli.applier.lock_waits import LockPatience
    from replica_cli.applier.statement_session import StatementPlan
    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session

logger = logging.getLogger(__name__)


class StatementRunner:
    """For the session that holds the lock: a connection that was fenced off cannot alter anything."""

    def __init__(self, session: Session, patience: LockPatience) -> None:
        self._session = session
        self._patience = patience

    @contextlib.contextmanager
    def waiting_for(self, place: Position) -> Iterator[None]:
        """Wait for locks of other connections no longer than an attempt at the statement of a place may.

        A LockWait that ends the attempt says whether the statement may be tried again.
        """
        seconds = str(self._patience.begin(place))
        self._session.execute(assignments(tuple((name, seconds) for name, _ in LOCK_WAITS)))
        has_to_wait = False
        try:
            yield
        except LockWait as error:
            self._patience.end()
            error.is_over = self._patience.is_over
            has_to_wait = not error.is_over
            raise
        except ServerError as error:
            if error.is_connection_lost:
                self._patience.lose()
                has_to_wait = True
            raise
        finally:
            if not has_to_wait:
                self._patience.forget()
            self._restore(assignments(LOCK_WAITS))

    def lost_attempts(self, place: Position) -> int:
        """Return the number of attempts at the statement of a place if they took all the time that it may wait, else 0.

        Each ended with its connection, as behind a proxy that cuts a connection on which nothing moves: it cannot be
        told from one that waits for a lock.
        """
        return self._patience.attempts if self._patience.is_spent_on(place) else 0

    def run(self, plan: StatementPlan, text: bytes, schema: str, shown: str) -> None:
        """Run a statement's text in the settings of its plan; `schema` is the default one, empty for none.

        Raises ServerError, ApplyRefused where our user may not set what it needs; `shown` is the statement for that.
        """
        is_entered = False
        try:
            if schema:
                self._session.execute(f"USE {quote(schema)}")
            self._enter(plan, shown)
            is_entered = True
            self._session.execute_one(text)
        finally:
            # A SET that is refused has set nothing.
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
                f"our user on {error.server} may not set what a statement needs ({names}): {shown}",
                hint="GRANT SESSION_VARIABLES_ADMIN ON *.* TO this user (MariaDB: SUPER), or give the secondary the "
                f"primary's global values of {names}",
                table=plan.parsed.tables[0] if plan.parsed.tables else None,
            ) from error

    def _refused(self, names: tuple[str, ...]) -> list[str]:
        """Return the variables that our user may not set: the server's refusal of all names the privilege only."""
        found = []
        for name in names:
            try:
                self._session.execute(f"SET SESSION {name} = @@SESSION.{name}")
            except ServerError as error:
                if error.errno != ER_SPECIFIC_ACCESS_DENIED:
                    raise
                found.append(name)
        return found

    def _restore(self, leave: str) -> None:
        try:
            self._session.execute(leave)
        except ServerError as error:
            if not error.is_connection_lost:
                # Its statements would commit one by one: rows without their position, or an intent without either.
                self._session.abort()
            logger.debug("the session cannot be used any more", exc_info=True)
