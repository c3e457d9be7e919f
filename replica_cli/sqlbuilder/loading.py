"""LOAD DATA of the very text that a VALUES list is made of: servers read it a quarter to a third faster than INSERT.

What QUOTE writes is what LOAD DATA reads: strings between quotes with backslashes, and the bare word NULL.
Source: https://mariadb.com/kb/en/load-data-infile/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.chunks import takes_digits, takes_quoted
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableName

# What stands behind the last row of a list, too.
ROW_END = b","


def load_statement(target: TableName, columns: Sequence[Column]) -> bytes | None:
    """Return the LOAD DATA LOCAL for lists of rows of these columns, None if a literal is more than digits or text.

    Each list needs a comma at its end.
    """
    names, sets = [], []
    for number, column in enumerate(columns):
        name = quote(column.name)
        if takes_quoted(column):
            names.append(name)
        elif takes_digits(column):
            # As text they would be an ENUM's member, a BIT's bytes, or the year 2000.
            names.append(f"@v{number}")
            sets.append(f"{name}=CAST(@v{number} AS UNSIGNED)")
        else:
            return None
    if not names:  # a table of generated columns alone
        return None
    return (
        f"LOAD DATA LOCAL INFILE 'chunk' INTO TABLE {quote_table(target)} CHARACTER SET binary "
        "FIELDS TERMINATED BY ',' ENCLOSED BY '''' ESCAPED BY '\\\\' LINES STARTING BY '(' TERMINATED BY '),' "
        f"({','.join(names)}){' SET ' + ','.join(sets) if sets else ''}"
    ).encode()
