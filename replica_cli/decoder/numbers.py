"""Turn numbers into text that is exact and that the server reads back as the same type."""

from __future__ import annotations

SIGNED_BYTES = tuple(b"%d" % (n if n < 128 else n - 256) for n in range(256))
UNSIGNED_BYTES = tuple(b"%d" % n for n in range(256))
YEARS = (b"0", *(b"%d" % (1900 + n) for n in range(1, 256)))

CENTS = tuple(b".%02d" % n for n in range(100))

_DIGITS_OF_GROUP = 9
_BYTES_OF_GROUP = 4
_BYTES_BY_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def real_literal(value: float) -> bytes:
    """Return a literal with all digits of a double, or of a FLOAT as double. Raises ValueError if it is not finite."""
    if value - value:  # a column cannot hold infinity or NaN
        raise ValueError("a FLOAT or DOUBLE is not a finite number")
    text = b"%a" % value
    return text if b"e" in text else text + b"e0"


def decimal_size(precision: int, scale: int) -> int:
    """Return the number of bytes of a stored DECIMAL."""
    whole, fraction = divmod(precision - scale, _DIGITS_OF_GROUP), divmod(scale, _DIGITS_OF_GROUP)
    groups = (whole[0] + fraction[0]) * _BYTES_OF_GROUP
    return groups + _BYTES_BY_DIGITS[whole[1]] + _BYTES_BY_DIGITS[fraction[1]]


def decimal_groups(precision: int, scale: int) -> tuple[list[int], list[int]]:
    """Return the number of digits of each group before and after the point, in the order of their bytes."""
    whole, fraction = divmod(precision - scale, _DIGITS_OF_GROUP), divmod(scale, _DIGITS_OF_GROUP)
    before = [whole[1]] * bool(whole[1]) + [_DIGITS_OF_GROUP] * whole[0]
    after = [_DIGITS_OF_GROUP] * fraction[0] + [fraction[1]] * bool(fraction[1])
    return before, after


def group_size(digits: int) -> int:
    """Return the number of bytes of a group of digits."""
    return _BYTES_BY_DIGITS[digits]


def decimal_text(packed: bytes, precision: int, scale: int) -> bytes:
    """Return the exact text of a stored DECIMAL. JSON documents use it; for columns `rendering` makes source.

    Raises:
        ValueError: the size is wrong, or a group has a value with too many digits.
    """
    size = decimal_size(precision, scale)
    if len(packed) != size or not 0 < precision <= 65 or scale > precision:
        raise ValueError("a DECIMAL has a wrong length")
    number = int.from_bytes(packed, "big") - (1 << size * 8 - 1)
    sign, number = (b"-", ~number) if number < 0 else (b"", number)
    left = number.to_bytes(size, "big")
    parts, at = [0, 0], 0
    for side, groups in enumerate(decimal_groups(precision, scale)):
        for digits in groups:
            group = int.from_bytes(left[at : (at := at + group_size(digits))], "big")
            if group >= 10**digits:
                raise ValueError("a DECIMAL has invalid digits")
            parts[side] = parts[side] * 10**digits + group
    return sign + (b"%d.%0*d" % (parts[0], scale, parts[1]) if scale else b"%d" % parts[0])
