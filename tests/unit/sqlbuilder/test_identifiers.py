"""Names as SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replica_cli.core.table import TableName
from replica_cli.sqlbuilder.identifiers import quote, quote_table, unquote
from replica_cli.sqlbuilder.tokens import CATALOG, Kind, tokenise

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=64)


@given(NAMES)
def test_a_quoted_name_is_one_token_and_reads_back(name: str) -> None:
    (token,) = tokenise(quote(name), CATALOG)
    assert token.kind is Kind.NAME
    assert unquote(token.text) == name


def test_backticks_are_doubled() -> None:
    assert quote("a`b") == "`a``b`"
    assert quote_table(TableName("s`", "t.u")) == "`s```.`t.u`"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_no_server_takes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="legal name"):
        quote(name)
