"""Check, before rows are compared or repaired, that the primary is the one to whose log the saved position belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.reader.position_check import PositionCheck
from replica_cli.verify.pairs import another_primary

if TYPE_CHECKING:
    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.settings import Settings
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


def check_primary(session: Session, settings: Settings, facts: ServerFacts, saved: SavedPosition) -> None:
    """Check that the primary is that of a saved position, and has the log from it on.

    Args:
        session: a session to the primary.
        settings: the settings of the command.
        facts: the primary's facts.
        saved: the position row.

    Raises:
        PrimaryReplaced: it is another server.
        PositionLost: its log does not have what was applied, or has purged what comes next.
        ServerError: it does not answer.
    """
    if saved.source_identity != facts.identity:
        raise another_primary(session.server, facts, saved)
    PositionCheck(session, settings.network, facts=facts).check(saved.position)
