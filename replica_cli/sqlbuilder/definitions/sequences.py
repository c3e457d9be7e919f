"""Build the statement that makes a primary's sequence on a secondary, from the text of SHOW CREATE SEQUENCE.

Only MariaDB has sequences. The state of a sequence is its one row, which is copied and streamed like a table's rows.
Source: https://mariadb.com/kb/en/create-sequence/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused
from replica_cli.sqlbuilder.definitions.table_text import options, parse
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of, why_refused
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, Token, join, tokenise

if TYPE_CHECKING:
    from replica_cli.core.table import TableName

# In earlier releases every sequence counts in BIGINT.
TYPED_SINCE = (11, 5, 0)


def is_sequence(create_text: str) -> bool:
    """Return True if the text of SHOW CREATE TABLE is that of a sequence."""
    return any(option.name == "SEQUENCE" for option in options(parse(create_text).tail))


def sequence_statement(
    create_text: str, target: TableName, *, source: TableName, knows_types: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Return the statement that makes a sequence on the secondary, and notes about what differs from the primary.

    Args:
        create_text: the text of SHOW CREATE SEQUENCE.
        target: the name on the secondary.
        source: the name on the primary.
        knows_types: the secondary's release has sequences of other types than BIGINT.

    Raises:
        DefinitionRefused: the secondary's sequence would not be the same.
    """
    tokens = list(tokenise(create_text, CATALOG))
    index = next(p for p, t in enumerate(tokens) if t.kind is Kind.NAME)
    rest = tokens[index + 1 :]
    first = next((t for t in rest if not t.is_blank), None)
    if first is not None and first.is_word("AS") and not knows_types:
        raise DefinitionRefused(source, "", "the secondary's release has only BIGINT sequences")
    notes: tuple[str, ...] = ()
    for option in options(tuple(rest)):
        if option.name != "ENGINE":
            continue
        if kind_of(option.value) is EngineKind.REFUSED:
            raise DefinitionRefused(source, "", why_refused(option.value))
        if kind_of(option.value) is EngineKind.CONVERTED:
            rest[option.end - 1] = Token(Kind.WORD, "InnoDB")
            notes = (f"{source}: engine {option.value} becomes InnoDB, so that rows and position commit together",)
    return f"CREATE SEQUENCE {quote_table(target)}{join(rest)}", notes
