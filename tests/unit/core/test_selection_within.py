from __future__ import annotations

import pytest

from replica_cli.core.selection import Selection

SHOP = Selection((("shop", "shop"),))
ALL = Selection((), takes_all_schemas=True)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (SHOP, SHOP),
        (SHOP, ALL),
        (Selection((("shop", "shop"),), excluded_tables=("shop.a",)), SHOP),
        (Selection((("shop", "shop"),), tables=("shop.a",)), SHOP),
        (
            Selection((("shop", "shop"),), tables=("shop.a",)),
            Selection((("shop", "shop"),), tables=("shop.a", "shop.b")),
        ),
    ],
)
def test_what_only_leaves_tables_out(narrow: Selection, wide: Selection) -> None:
    assert narrow.is_within(wide)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (ALL, SHOP),
        (Selection((("shop", "copy"),)), SHOP),
        (Selection((("shop", "copy"),)), ALL),
        (Selection((("shop", "shop"), ("other", "other"))), SHOP),
        (SHOP, Selection((("shop", "shop"),), excluded_tables=("shop.a",))),
        (SHOP, Selection((("shop", "shop"),), tables=("shop.a",))),
        (
            Selection((("shop", "shop"),), tables=("shop.c",)),
            Selection((("shop", "shop"),), tables=("shop.a", "shop.b")),
        ),
    ],
)
def test_what_lets_tables_in_or_sends_them_elsewhere(narrow: Selection, wide: Selection) -> None:
    assert not narrow.is_within(wide)
