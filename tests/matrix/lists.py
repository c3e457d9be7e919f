"""ENUM and SET: every width, the error value, long members, members in other charsets."""

from __future__ import annotations

from tests.matrix.hard import Family, Values


def _members(count: int, prefix: str = "m") -> str:
    return ", ".join(f"'{prefix}{n}'" for n in range(count))


# 301 bytes each: with FULL metadata a length of more than one byte.
_LONG = ", ".join(f"'{letter}{'é' * 150}'" for letter in "abc")
_ENUMS = (
    "ENUM('a', 'b', 'é')", f"ENUM({_members(255)})", f"ENUM({_members(256)})", f"ENUM({_members(300)})",
    "ENUM('é', 'ü', '') CHARACTER SET latin1", "ENUM('a', 'é', '€') CHARACTER SET ucs2", f"ENUM({_LONG})",
    "ENUM('it''s', 'a,b', 'c\\\\d')",
)  # fmt: skip
_WIDTHS = (1, 8, 9, 16, 17, 24, 25, 32, 33, 64)
_SETS = (*(f"SET({_members(n)})" for n in _WIDTHS), f"SET({_LONG})")

FAMILIES = (
    Family(
        "ENUM, index 0",
        (
            Values(
                "enums",
                _ENUMS,
                (
                    ("1",) * 8, ("3", "255", "256", "300", "2", "3", "3", "3"), ("'none'",) * 8, ("''",) * 8,
                    ("NULL",) * 8,
                ),
            ),
        ),
    ),
    Family(
        "SET",
        (
            Values(
                "sets",
                _SETS,
                (
                    ("0",) * 11, (*(str((1 << n) - 1) for n in _WIDTHS), "7"),
                    (*(str(1 << n - 1) for n in _WIDTHS), "4"),
                    ("1",) * 11, ("NULL",) * 11,
                ),
            ),
            Values(
                "sets_charsets",
                ("SET('é', 'ü') CHARACTER SET latin1", "SET('a', '€') CHARACTER SET ucs2", "SET('it''s', 'b c')"),
                (("1", "2", "3"), ("3", "3", "1"), ("''", "''", "''")),
            ),
        ),
    ),
)  # fmt: skip
