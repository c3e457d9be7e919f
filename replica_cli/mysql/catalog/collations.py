"""Read the collation ids of a server, as events contain them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


def read_collations(session: Session) -> dict[int, tuple[str, str]]:
    """Return the server's collations by id: (collation, charset).

    MariaDB's collations whose charset depends on the context (uca1400_ai_ci) have one id for each charset.
    """
    if session.is_mariadb:
        tables = "information_schema.collation_character_set_applicability"
        row = session.row(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'information_schema' "
            "AND table_name = 'COLLATION_CHARACTER_SET_APPLICABILITY' AND column_name = 'ID'"
        )
        if row and row[0]:
            rows = session.texts(f"SELECT id, full_collation_name, character_set_name FROM {tables}")
            return {int(i): (str(c), str(s)) for i, c, s in rows if i is not None}
    rows = session.texts("SELECT id, collation_name, character_set_name FROM information_schema.collations")
    return {int(i): (str(c), str(s)) for i, c, s in rows if i is not None}
