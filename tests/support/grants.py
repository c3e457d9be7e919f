"""Make accounts with the grants of docs/accounts.md, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.support.command import Replica

PASSWORD = "change-me"
_PAGE = Path(__file__).parents[2] / "docs" / "accounts.md"


def make_accounts(replica: Replica, name: str) -> None:
    """Make an account on both servers, and let the command use it."""
    replica.on_primary()  # makes the schema
    with replica.primary.session() as primary, replica.secondaries["db1"].session() as secondary:
        _grant(primary, replica, name, "primary")
        _grant(secondary, replica, name, "secondary")
    replica.settings |= {"MARIA_USER": name, "MARIA_PASS": PASSWORD}


def _grant(session: Session, replica: Replica, name: str, side: str) -> None:
    state = replica.state_schema.replace("_", "\\_")
    for statement in _statements("MariaDB" if session.is_mariadb else "MySQL", side):
        text = statement.replace("'replica'", f"'{name}'").replace("`shop`", f"`{replica.schema}`")
        session.execute(text.replace("`replica\\_state`", f"`{state}`"))


def _statements(flavour: str, side: str) -> list[str]:
    text = re.search(rf"^On a {flavour} {side}.*?^```sql\n(.*?)^```", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert text, f"no grants for a {flavour} {side}"
    return [s for s in text[1].splitlines() if s]
