"""Tokens: nothing is lost, and nothing inside a string, a name or a comment is taken for SQL."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replica_cli.sqlbuilder.tokens import CATALOG, Kind, join, solid, split, string_literal, string_value, tokenise

HARD = st.lists(
    st.sampled_from(
        ["'", '"', "`", "\\", "/*", "*/", "/*!80016", "--", "#", "\n", ",", "(", ")", "x", "1.5e3", "é", " "]
    )
).map("".join)


@given(HARD)
def test_joined_tokens_are_the_text(text: str) -> None:
    assert join(tokenise(text, CATALOG)) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_literal_is_one_token_and_reads_back(value: str) -> None:
    (token,) = tokenise(string_literal(value), CATALOG)
    assert token.kind is Kind.STRING
    assert string_value(token.text) == value


def test_escapes_are_undone() -> None:
    assert string_value(r"'it''s \\ \n \% \' \" x'") == "it's \\ \n \\% ' \" x"
    assert string_value("'two \"\" marks'") == 'two "" marks'


def test_a_comma_in_a_string_or_a_name_splits_nothing() -> None:
    parts = split(tokenise("`a,b` int, e enum('x,(','y'), k (a, b) /* , */", CATALOG), ",")
    assert [join(p).strip() for p in parts] == ["`a,b` int", "e enum('x,(','y')", "k (a, b) /* , */"]


def test_the_inside_of_an_executable_comment_is_sql() -> None:
    kinds = [t.kind for t in solid(tokenise("/*!80023 INVISIBLE */ /* no */ /*M!100301 COMPRESSED*/", CATALOG))]
    assert kinds == [Kind.OPEN, Kind.WORD, Kind.CLOSE, Kind.OPEN, Kind.WORD, Kind.CLOSE]
