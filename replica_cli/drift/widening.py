"""Decide if every value of one column type fits another type, so that a change to that type loses nothing.

Only changes that are known to lose nothing count. `replica_cli.drift.alteration` warns about every other change,
because it may refuse, cut or change values.
"""

from __future__ import annotations

import re

from replica_cli.core.column_types import INTEGERS, LISTS, LONG_BYTES, LONG_TEXTS, REALS, SIZES

_TYPE = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<arguments>.*)\))?(?P<rest>[^()]*)", re.IGNORECASE | re.DOTALL)
# In each of these families a type of a larger size holds every value of a smaller one.
_ORDERED = (LONG_TEXTS, LONG_BYTES, REALS)
# The number is a length or a precision: a larger one holds every value of a smaller one.
_TYPES_WITH_SIZE = frozenset({"varchar", "varbinary", "bit", "datetime", "timestamp", "time"})


def is_widening(before: str, after: str) -> bool:
    """Return True if a column can change its type from `before` to `after` without a change of any value.

    Both are types as SHOW CREATE TABLE writes them.
    """
    old, new = _TYPE.fullmatch(before.strip()), _TYPE.fullmatch(after.strip())
    if old is None or new is None:
        return False
    kinds = old["kind"].lower(), new["kind"].lower()
    rests = old["rest"].strip().lower(), new["rest"].strip().lower()
    if INTEGERS.issuperset(kinds):
        return _is_wider_number(kinds, rests)
    arguments = old["arguments"] or "", new["arguments"] or ""
    return rests[0] == rests[1] and _is_wider(kinds, arguments)


def _is_wider(kinds: tuple[str, str], arguments: tuple[str, str]) -> bool:
    kind = kinds[0]
    if kind != kinds[1]:
        are_ordered = any(family.issuperset(kinds) for family in _ORDERED)
        return are_ordered and arguments == ("", "") and SIZES[kind] < SIZES[kinds[1]]
    if kind in _TYPES_WITH_SIZE:
        return int(arguments[0] or 0) <= int(arguments[1] or 0)
    if kind == "decimal":
        return _is_wider_decimal(*arguments)
    # Each value has a number. Values that are added at the end do not change the numbers of the others.
    return kind in LISTS and arguments[1].startswith(f"{arguments[0]},")


def _is_wider_number(kinds: tuple[str, str], rests: tuple[str, str]) -> bool:
    if "zerofill" in " ".join(rests):
        return False
    was_unsigned, is_unsigned = ("unsigned" in rest for rest in rests)
    if was_unsigned is is_unsigned:
        return SIZES[kinds[0]] <= SIZES[kinds[1]]
    return was_unsigned and SIZES[kinds[0]] < SIZES[kinds[1]]


def _is_wider_decimal(before: str, after: str) -> bool:
    numbers = [[int(part) for part in text.split(",")] for text in (before, after) if text]
    if [len(each) for each in numbers] != [2, 2]:
        return False
    (digits, scale), (new_digits, new_scale) = numbers
    return new_scale >= scale and new_digits - new_scale >= digits - scale
