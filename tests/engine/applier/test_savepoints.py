"""Savepoints: a name arrives as the primary's session wrote it, whatever it quotes names with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

# By the session's variables: names as its user writes them.
NAMES = {
    "sql_mode = ''": ("plain", '`a "b``\\`', "1a", "`select`", "`1`", "é", "`ab'`"),
    "sql_mode = 'ANSI_QUOTES'": ("plain", '"a"', '"a ""b`\\"', '`a "b``\\`', '"\\"', '"it\'s"'),
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'": ('"a ""b`\\"', '"\\"', "`x\\`"),
    "sql_mode = 'ANSI_QUOTES', sql_quote_show_create = 0": ('"sel ect"', "1a", '"a""b"', '"select"'),
    "sql_mode = '', character_set_client = latin1": ("`a b`",),
}


@pytest.mark.parametrize("variables", NAMES)
def test_every_name_of_a_savepoint_is_kept(harness: Harness, variables: str) -> None:
    harness.begin_here()
    harness.on_primary("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)", f"SET {variables}")
    for name in NAMES[variables]:
        harness.on_primary(
            "BEGIN", "INSERT INTO t VALUES ()", f"SAVEPOINT {name}", "INSERT INTO t VALUES ()",
            f"ROLLBACK TO {name}", "INSERT INTO t VALUES ()", f"SAVEPOINT {name}", "INSERT INTO t VALUES ()", "COMMIT",
        )  # fmt: skip
    harness.stream()
    harness.assert_equal()
