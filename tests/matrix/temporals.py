"""Dates and times: zero, partial and invalid ones, fractions of every length, both ends, the format before 5.6."""

from __future__ import annotations

from tests.matrix.hard import MARIADB, Family, Values, each

_DATES = ("DATE", "DATETIME", "DATETIME(6)")
_FRACTIONS = tuple(f"{kind}({n}) NULL" for kind in ("TIME", "DATETIME", "TIMESTAMP") for n in (0, 1, 2, 3, 4, 5, 6))


def _fractions() -> tuple[tuple[str, ...], ...]:
    digits = list(range(7)) * 3
    ends = ["838:59:58"] * 7 + ["9999-12-31 23:59:59"] * 7 + ["2038-01-19 03:14:07"] * 7
    starts = ["-00:00:00"] * 7 + ["1000-01-01 00:00:00"] * 7 + ["1970-01-01 00:00:01"] * 7
    some = ["-12:34:56"] * 7 + ["2024-02-29 12:34:56"] * 14
    limits = ["'-838:59:59'"] * 7 + ["'0001-01-01 00:00:00'"] * 7 + ["'2000-12-31 23:59:59'"] * 7
    zero = ["'00:00:00'"] * 7 + ["'0000-00-00 00:00:00'"] * 14
    return (
        tuple(f"'{day}{'.' if d else ''}{'9' * d}'" for day, d in zip(ends, digits, strict=True)),
        tuple(f"'{day}{'.' + '1'.rjust(d, '0') if d else ''}'" for day, d in zip(starts, digits, strict=True)),
        tuple(f"'{day}{'.' if d else ''}{'789123'[:d]}'" for day, d in zip(some, digits, strict=True)),
        tuple(limits),
        tuple(zero),
        ("NULL",) * 21,
    )


MOMENTS = Family(
    "DATE, TIME, DATETIME, TIMESTAMP, YEAR",
    (
        Values(
            "dates",
            _DATES,
            (
                *each(_DATES, "'0000-00-00'", "'2024-00-15'", "'2024-05-00'", "'2024-02-31'", "'0001-01-01'"),
                *each(_DATES, "'1582-10-10'", "'9999-12-31'", "'2024-02-29'", "NULL"),
            ),
        ),
        Values("fractions", _FRACTIONS, _fractions()),
        Values("times", ("TIME", "TIME(6)"), (
            ("'-838:59:59'", "'-838:59:59.000000'"), ("'838:59:59'", "'838:59:58.999999'"),
            ("'-00:00:01'", "'-00:00:00.000001'"), ("'00:00:00'", "'-01:00:00.5'"), ("NULL", "NULL"),
        )),
        Values("years", ("YEAR",), (("0",), ("1901",), ("2155",), ("1970",), ("2000",), ("NULL",))),
    ),
)  # fmt: skip
OLD = Family(
    "temporals of the format before 5.6",
    (
        Values(
            "old_temporals",
            _FRACTIONS,
            _fractions(),
            ("mariadb:10.11", "mariadb:11.8"),
            before=("SET GLOBAL mysql56_temporal_format = OFF",),
            after=("SET GLOBAL mysql56_temporal_format = ON",),
        ),
    ),
)
LONGEST = Family(
    "TIME beyond 838:59:59 (MariaDB)",
    (
        Values(
            "longest_times",
            ("TIME(6)", "TIME(3)"),
            (("'838:59:59.999999'", "'-838:59:59.999'"), ("'-838:59:59.000001'", "'838:59:59.001'"), ("0", "0")),
            MARIADB,
        ),
    ),
)
FAMILIES = (MOMENTS, LONGEST, OLD)
