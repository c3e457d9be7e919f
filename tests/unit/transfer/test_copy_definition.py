"""Tables that cannot be copied exactly are refused from their definition alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.core.errors import ApplyRefused
from replica_cli.core.selection import Selection
from replica_cli.core.table import Column
from replica_cli.transfer.errors import TableAltered
from replica_cli.transfer.planning.copy_definition import CopyDefinition, Origin, read_definition
from tests.unit.transfer.planned import name, primary_table, target

if TYPE_CHECKING:
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session

SELECTION = Selection((("shop", "copy"),))
MARIADB = Origin(SELECTION, from_mariadb=True, to_mariadb=True)
TO_MYSQL = Origin(SELECTION, from_mariadb=True, to_mariadb=False)
TEXT = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `a` int DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB"
TABLE = primary_table("t", rows=5, size=50)


def read(table: TableDefinition = TABLE, origin: Origin = MARIADB, text: str = TEXT) -> CopyDefinition:
    no_session = cast("Session", None)  # with the statement's text nothing is read
    return read_definition(no_session, origin, table, text)


def test_a_definition_has_what_makes_the_table_on_the_secondary() -> None:
    definition = read()
    assert (definition.name, definition.target) == (name("t"), target("t"))
    assert definition.primary.estimated_rows == 5
    assert "`copy`.`t`" in definition.statements.create
    assert definition.key is not None
    assert definition.key.names == ("id",)
    assert not definition.needs_lock


def test_the_fingerprint_changes_with_the_definition_and_the_filters_but_not_with_the_counter() -> None:
    fingerprint = read().fingerprint
    assert read(text=f"{TEXT} AUTO_INCREMENT=7").fingerprint == fingerprint
    assert read(text=TEXT.replace("DEFAULT NULL", "DEFAULT 1")).fingerprint != fingerprint
    other = replace(MARIADB, selection=Selection((("shop", "elsewhere"),)))
    assert read(origin=other).fingerprint != fingerprint


def test_a_table_without_snapshots_is_locked_and_not_paged() -> None:
    definition = read(replace(TABLE, engine="MyISAM"), text=TEXT.replace("InnoDB", "MyISAM"))
    assert (definition.needs_lock, definition.key) == (True, None)


@pytest.mark.parametrize(
    ("table", "origin", "reason"),
    [
        (replace(TABLE, kind="VIEW"), MARIADB, "of kind VIEW"),
        (replace(TABLE, kind="SYSTEM VERSIONED"), TO_MYSQL, "no system-versioned tables"),
        (replace(TABLE, kind="SYSTEM VERSIONED"), replace(MARIADB, to_version=(10, 6, 0)), "row versions"),
        (replace(TABLE, kind="SEQUENCE"), TO_MYSQL, "no sequences"),
        (
            replace(TABLE, columns=(*TABLE.columns, Column("u", "uuid", "uuid"))),
            replace(MARIADB, to_version=(10, 6, 0)),
            "no type uuid",
        ),
        (
            primary_table("t", parents=["parent"]),
            replace(MARIADB, selection=Selection((("shop", "copy"),), tables=("shop.t",))),
            "is not replicated",
        ),
    ],
    ids=["view", "history to MySQL", "history to an old release", "sequence", "new type", "parent"],
)
def test_a_table_that_cannot_be_copied_exactly_is_refused(table: TableDefinition, origin: Origin, reason: str) -> None:
    text = TEXT.replace("PRIMARY", "`u` uuid,\n  PRIMARY") if len(table.columns) > 2 else TEXT
    with pytest.raises(ApplyRefused, match=reason):
        read(table, origin, text)


def test_columns_and_statement_of_two_moments_are_noticed() -> None:
    with pytest.raises(TableAltered):
        read(text=TEXT.replace("`a` int", "`b` int"))
