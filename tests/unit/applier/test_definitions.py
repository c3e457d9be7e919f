from __future__ import annotations

from replica_cli.applier.definitions import alike
from replica_cli.core.table import TableName

KNOWN = {TableName("shop", "orders"), TableName("shop", "Items"), TableName("other", "orders")}


def test_a_definition_is_forgotten_however_its_statement_spells_it() -> None:
    assert alike(KNOWN, (TableName("Shop", "ORDERS"), TableName("shop", "items"))) == {
        TableName("shop", "orders"),
        TableName("shop", "Items"),
    }


def test_without_names_all_are_forgotten() -> None:
    assert alike(KNOWN, ()) == KNOWN
