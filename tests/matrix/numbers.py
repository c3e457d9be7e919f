"""Whole numbers, decimals, floating ones and bits, at their ends."""

from __future__ import annotations

from tests.matrix.hard import Family, Values

_WIDTHS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
_SIGNED = tuple(_WIDTHS)
_UNSIGNED = tuple(f"{name} UNSIGNED" for name in _WIDTHS)
_FILLED = ("TINYINT ZEROFILL", "INT(3) ZEROFILL", "BIGINT(20) ZEROFILL", "DECIMAL(9,3) ZEROFILL")
_LOW = tuple(str(-(1 << w - 1)) for w in _WIDTHS.values())
_HIGH = tuple(str((1 << w - 1) - 1) for w in _WIDTHS.values())
_HIGHEST = tuple(str((1 << w) - 1) for w in _WIDTHS.values())
_HALF = tuple(str(1 << w - 1) for w in _WIDTHS.values())
_DECIMALS = ("DECIMAL(65,30)", "DECIMAL(65,0)", "DECIMAL(30,30)", "DECIMAL(1,0)", "DECIMAL(18,9)", "DECIMAL(9,9)")
_BITS = tuple(f"BIT({n})" for n in (1, 7, 8, 9, 16, 31, 33, 40, 57, 63, 64))

WHOLE = Family(
    "whole numbers, ZEROFILL",
    (
        Values("signed", _SIGNED, (_LOW, _HIGH, ("-1",) * 5, ("0",) * 5, ("NULL",) * 5)),
        Values("unsigned", _UNSIGNED, (_HIGHEST, _HALF, ("0",) * 5, ("NULL",) * 5)),
        Values(
            "filled",
            _FILLED,
            (("7", "7", "7", "7.5"), ("255", "4294967295", "18446744073709551615", "999999.999"), ("NULL",) * 4),
        ),
    ),
)
DECIMAL = Family(
    "DECIMAL",
    (
        Values(
            "decimals",
            _DECIMALS,
            (
                ("0",) * 6,
                (f"-{'9' * 35}.{'9' * 30}", "9" * 65, f"-0.{'9' * 30}", "-9", "-999999999.999999999", "0.999999999"),
                (f"0.{'0' * 29}1", f"-{'9' * 65}", f"0.{'0' * 29}1", "9", "0.000000001", "-0.000000001"),
                ("NULL",) * 6,
            ),
        ),
    ),
)
FLOAT = Family(
    "FLOAT, DOUBLE",
    (
        Values(
            "reals",
            ("FLOAT", "DOUBLE", "FLOAT(7,3)", "DOUBLE(30,10)", "DOUBLE UNSIGNED", "FLOAT UNSIGNED"),
            (
                ("0.1", "0.1", "1234.567", "0.1", "0.1", "0.1"),
                ("-0e0", "-0e0", "-0e0", "-0e0", "0", "0"),
                ("3.4028234e38", "1.7976931348623157e308", "-9999.999", "12345678901234567890.01", "5e-324", "1e-45"),
                ("1e-45", "-5e-324", "0.001", "-1e-10", "1e-320", "3.4028234e38"),
                ("16777217", "9007199254740993", "0.3", "1234.56789", "2.2250738585072014e-308", "16777217"),
                ("1.17549435e-38", "0.1e0 + 0.2e0", "9999.999", "1e19", "4.35", "1.17549435e-38"),
                ("NULL",) * 6,
            ),
            keys=False,
        ),
        Values("real_keys", ("FLOAT", "DOUBLE"), (("0.1", "0.1"), ("1e-45", "5e-324"), ("16777217", "1e300"))),
    ),
)
BIT = Family(
    "BIT",
    (
        Values(
            "bits",
            _BITS,
            (
                ("0",) * len(_BITS),
                ("1",) * len(_BITS),
                tuple(str((1 << int(b[4:-1])) - 1) for b in _BITS),
                tuple(str(1 << int(b[4:-1]) - 1) for b in _BITS),
                ("NULL",) * len(_BITS),
            ),
        ),
    ),
)
FAMILIES = (WHOLE, DECIMAL, FLOAT, BIT)
