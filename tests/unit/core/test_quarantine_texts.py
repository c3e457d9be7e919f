"""The reason of a quarantine has one refusal, the last one, and the advice fits it."""

from __future__ import annotations

from replica_cli.core.quarantine_texts import copy_advice, is_copy_refused, with_failure, with_refusal


def test_a_refusal_replaces_an_earlier_one() -> None:
    once = with_refusal("a row is missing", "no such type")
    assert once == "a row is missing; the copy is refused too: no such type"
    assert with_refusal(once, "no such function") == "a row is missing; the copy is refused too: no such function"
    failed = with_failure(once, "a row is too long")
    assert failed == "a row is missing; the copy failed too: a row is too long"
    assert with_refusal("", "no such type") == "the copy is refused: no such type"
    assert with_refusal(with_refusal("", "one"), "other") == "the copy is refused: other"
    assert [is_copy_refused(text) for text in (once, failed, "", with_refusal("", "x"))] == [True, True, False, True]


def test_the_advice_names_each_table_and_what_has_to_come_first() -> None:
    assert copy_advice(["a.b"]) == "`replica transfer --table a.b` copies it again"
    advice = copy_advice(["a.b", "a.c"], is_refused=True)
    assert advice == "after you correct that, `replica transfer --table a.b --table a.c` copies them again"
