"""The advice for a row that a foreign key refuses: a copy of one table brings no rows of the other one."""

from __future__ import annotations

import pytest

from replica_cli.applier.failures import _related_hint
from replica_cli.core.names import TableName

CHILD = (
    "Cannot add or update a child row: a foreign key constraint fails (`{}`.`child`, CONSTRAINT `child_ibfk_1` FOREIGN "
    "KEY (`parent`, `b`) REFERENCES {} (`id`, `b`))"
)
PARENT = CHILD.replace("add or update a child", "delete or update a parent")


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("child", CHILD.format("shop", "`parent`")),
        ("child", CHILD.format("shop", "`shop`.`parent`")),
        # The schema has another name on the secondary.
        ("child", CHILD.format("shop_copy", "`parent`")),
    ],
)
def test_both_tables_of_the_foreign_key_are_copied(table: str, text: str) -> None:
    assert _related_hint(TableName("shop", table), text) == (
        "`replica transfer --table shop.child --table shop.parent` copies both tables of the foreign key again"
    )


def test_the_parent_is_named_first_if_it_was_refused() -> None:
    assert "--table shop.parent --table shop.child`" in _related_hint(
        TableName("shop", "parent"), PARENT.format("shop", "`parent`")
    )


@pytest.mark.parametrize(
    "text",
    [
        "Cannot add or update a child row: a foreign key constraint fails",  # no details without privileges
        CHILD.format("shop", "`other`.`parent`"),  # which schema of the primary that is, the text does not tell
    ],
)
def test_a_table_that_the_text_does_not_name_is_left_to_the_user(text: str) -> None:
    assert "with a second `--table`" in _related_hint(TableName("shop", "child"), text)


def test_a_table_that_refers_to_itself_is_copied_alone() -> None:
    hint = _related_hint(TableName("shop", "child"), CHILD.format("shop", "`child`"))
    assert hint == "`replica transfer --table shop.child` copies it again"
