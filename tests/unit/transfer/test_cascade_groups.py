"""The tables that foreign keys with actions connect, and the cost of finding them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.table import ForeignKey, TableDefinition, TableName
from replica_cli.transfer.planning.cascade_groups import cascade_group, find_cascade_groups

if TYPE_CHECKING:
    from collections.abc import ItemsView


def name(table: str) -> TableName:
    return TableName("shop", table)


def table(own: str, **parents: str) -> TableDefinition:
    """Return a table with foreign keys: the parent's name, and what happens to its rows."""
    keys = tuple(
        ForeignKey(f"fk_{parent}", ("up",), name(parent), ("id",), on_delete=rule, on_update="RESTRICT")
        for parent, rule in parents.items()
    )
    return TableDefinition(name(own), "InnoDB", "utf8mb4_bin", (), foreign_keys=keys)


def named(*tables: TableDefinition) -> dict[TableName, TableDefinition]:
    return {t.name: t for t in tables}


def test_families_are_found_in_both_directions() -> None:
    found = named(
        table("a"), table("b", a="CASCADE"), table("c", b="SET NULL"), table("alone"), table("x", a="RESTRICT"),
        table("tree", tree="CASCADE"), table("far", elsewhere="CASCADE"),
    )  # fmt: skip
    assert set(find_cascade_groups(found)) == {frozenset(map(name, "abc")), frozenset({name("tree")})}
    assert cascade_group([name("b")], found) == set(map(name, "abc"))
    assert cascade_group([name("alone")], found) == {name("alone")}


class Counting(dict[TableName, TableDefinition]):
    """Counts how often all tables are gone through."""

    walks = 0

    def items(self) -> ItemsView[TableName, TableDefinition]:  # type: ignore[override]
        self.walks += 1
        return {**self}.items()


def test_all_tables_are_gone_through_once() -> None:
    found = Counting()
    found.update(named(*(table(f"t{n}", **({f"t{n - 1}": "CASCADE"} if n % 10 else {})) for n in range(100))))
    assert len(find_cascade_groups(found)) == 10
    assert found.walks == 1
