"""Filters and routes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.selection import SYSTEM_SCHEMAS, Selection
from replica_cli.core.table import TableName


def targets(selection: Selection, *names: str) -> list[str | None]:
    found = [selection.target(TableName(*name.split(".", 1))) for name in names]
    return [str(t) if t else None for t in found]


def test_schemas_and_routes() -> None:
    selection = Selection((("a", "a"), ("b", "c")))
    assert targets(selection, "a.t", "b.t", "c.t", "A.t") == ["a.t", "c.t", None, None]


def test_all_schemas_except_system_schemas_and_the_state_schema() -> None:
    selection = Selection((("b", "c"),), takes_all_schemas=True, state_schema="mine")
    assert targets(selection, "a.t", "b.t", "mine.t") == ["a.t", "c.t", None]
    assert not any(selection.schema_target(s) for s in SYSTEM_SCHEMAS)


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("a.t?", ["a.t1", "a.tx"], ["a.t", "a.t12", "b.t1"]),
        ("a.*", ["a.t", "a.x.y"], ["b.t"]),
        ("*.log", ["a.log", "b.log"], ["a.logs"]),
        ("a.[t]", ["a.[t]"], ["a.t"]),
        ("a.x+(y)|z", ["a.x+(y)|z"], ["a.xx(y)", "a.z"]),
        ("a.line\nbreak", ["a.line\nbreak"], ["a.line"]),
        ("A.T", ["A.T"], ["a.t"]),
    ],
)
def test_patterns(pattern: str, taken: list[str], left: list[str]) -> None:
    schemas = tuple((s, s) for s in ("a", "b", "A"))
    wanted = Selection(schemas, tables=(pattern,))
    assert targets(wanted, *taken) == taken
    assert targets(wanted, *left) == [None] * len(left)
    unwanted = Selection(schemas, excluded_tables=(pattern,))
    assert targets(unwanted, *taken) == [None] * len(taken)
    assert targets(unwanted, *left) == left


def test_exclusion_wins() -> None:
    selection = Selection((("a", "a"),), tables=("a.*",), excluded_tables=("a.secret",))
    assert targets(selection, "a.t", "a.secret") == ["a.t", None]


def test_the_fingerprint_is_of_what_is_selected() -> None:
    base = Selection((("a", "a"), ("b", "b")), tables=("a.x", "a.y"))
    same = Selection((("b", "b"), ("a", "a")), tables=("a.y", "a.x"))
    assert base.fingerprint == same.fingerprint
    others = [
        Selection((("a", "a"),), tables=("a.x", "a.y")),
        Selection((("a", "a"), ("b", "c")), tables=("a.x", "a.y")),
        Selection((("a", "a"), ("b", "b")), tables=("a.x",)),
        Selection((("a", "a"), ("b", "b")), tables=("a.x", "a.y"), excluded_tables=("a.y",)),
        Selection((("a", "a"), ("b", "b")), excluded_tables=("a.x", "a.y")),
        Selection((("a", "a"), ("b", "b")), takes_all_schemas=True, tables=("a.x", "a.y")),
    ]
    assert len({s.fingerprint for s in (base, *others)}) == len(others) + 1


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_name_is_its_own_pattern(schema: str, table: str) -> None:
    if "*" in schema + table or "?" in schema + table:
        return
    assert Selection(((schema, "r"),), tables=(f"{schema}.{table}",)).target(TableName(schema, table)) == TableName(
        "r", table
    )


def test_a_changed_selection_does_not_use_the_former_decisions() -> None:
    one = Selection((("shop", "shop"),))
    name = TableName("shop", "t")
    assert one.target(name) == name
    assert replace(one, excluded_tables=("shop.t",)).target(name) is None
    assert one.target(name) == name


def test_the_primarys_name_of_a_secondarys_table() -> None:
    routed = Selection((("shop", "shop_copy"),), excluded_tables=("shop.left",))
    assert routed.source(TableName("shop_copy", "orders")) == TableName("shop", "orders")
    assert routed.source(TableName("shop_copy", "left")) is None
    assert routed.source(TableName("shop", "orders")) is None
    everything = Selection((("shop", "shop_copy"),), takes_all_schemas=True)
    assert everything.source(TableName("other", "t")) == TableName("other", "t")
    assert everything.source(TableName("shop", "orders")) is None
    assert everything.source(TableName("mysql", "user")) is None


def test_a_schema_whose_tables_are_all_excluded_is_not_replicated() -> None:
    for pattern, left_out in (
        ("private.*", "private"), ("p*", "private"), ("*.*", "shop"), ("priv?te.*", "private"), ("private.t", ""),
        ("private.t*", ""), ("private", ""), ("private*t", ""), ("*.old_*", ""), ("private.?*", ""),
    ):  # fmt: skip
        for selection in (
            Selection((), takes_all_schemas=True, excluded_tables=(pattern,)),
            Selection((("private", "here"), ("shop", "shop")), excluded_tables=(pattern,)),
        ):
            found = [name for name in ("private", "shop") if selection.schema_target(name) is None]
            assert (left_out in found) is bool(left_out), pattern
            assert bool(found) is bool(left_out), pattern
