"""Text in every charset, with bytes that the charset does not define, and the lengths where layouts change."""

from __future__ import annotations

from tests.matrix.hard import MYSQL, Family, Values, each

# A charset's hardest bytes: lead bytes, a trailing 0x5C, what no character has.
_BYTES = {
    "armscii8": ("A2FE", "80"), "ascii": ("615C27", "7E"), "big5": ("A55CB35C", "61"), "cp1250": ("E0E1", "81"),
    "cp1251": ("E0E1E2", "98"), "cp1256": ("C7C8", "E0"), "cp1257": ("E0E1", "81"), "cp850": ("8182", "FF"),
    "cp852": ("8182", "FF"), "cp866": ("8081", "FF"), "cp932": ("955C61", "8140"), "dec8": ("C1C2", "80"),
    "eucjpms": ("C9BD61", "A1A1"), "euckr": ("B0A161", "61"), "gb2312": ("B0A161", "61"), "gbk": ("D55C8161", "61"),
    "geostd8": ("C0C1", "80"), "greek": ("C1C2", "AE"), "hebrew": ("E0E1", "BF"), "hp8": ("C1C2", "80"),
    "keybcs2": ("8081", "FF"), "koi8r": ("C1C2", "80"), "koi8u": ("C1C2", "80"), "latin1": ("E9FF", "81"),
    "latin2": ("E0E1", "80"), "latin5": ("E0E1", "80"), "latin7": ("E0E1", "80"), "macce": ("8081", "FF"),
    "macroman": ("8081", "FF"), "sjis": ("835C95", "61"), "swe7": ("5B5C", "60"), "tis620": ("A1A2", "FF"),
    "ucs2": ("006100E920AC", "D800"), "ujis": ("C9BD61", "A1A1"), "utf16": ("0061D83DDE00", "0020"),
    "utf16le": ("61003DD800DE", "2000"), "utf32": ("000000610001F600", "00000020"), "utf8mb3": ("61C3A9E282AC", "20"),
    "utf8mb4": ("F09F9880C3A9", "2061"),
}  # fmt: skip
# Four bytes whatever the charset: two characters of utf16, one of utf32.
_KINDS = ("VARCHAR(20)", "CHAR(10)", "TEXT")
_SIZES = ("CHAR(4)", "CHAR(255)", "VARCHAR(255)", "VARCHAR(256)", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT")


def _charset(name: str, codes: tuple[str, ...]) -> Values:
    columns = tuple(f"{kind} CHARACTER SET {name}" for kind in _KINDS)
    rows = each(columns, *(f"x'{c}'" for c in codes), "''", "'a '", "NULL")
    return Values(f"text_{name}", columns, rows, keys=False, bare=False)


def _keyed(names: tuple[str, ...]) -> Values:
    columns = tuple(f"{kind} CHARACTER SET {name}" for name in names for kind in _KINDS[:2])
    codes = [code for name in names for code in (_BYTES[name][0],) * 2]
    second = [code for name in names for code in (_BYTES[name][1],) * 2]
    rows = (tuple(f"x'{c}'" for c in codes), tuple(f"x'{c}'" for c in second), ("'b'",) * len(columns))
    return Values(f"text_keys_{names[0]}", columns, rows)


_SMALL = ("''", "'ab '", r"'\\\'a'", r"'\0\n%'", "'é€'", "x'F09F9880'", "NULL")
CHARSETS = Family(
    "CHAR, VARCHAR, TEXT in every charset",
    (
        *(_charset(name, codes) for name, codes in _BYTES.items()),
        _keyed(("sjis", "gbk", "big5", "cp932", "ucs2", "utf32")),
        _keyed(("latin1", "utf8mb3", "utf8mb4", "ascii", "cp1251", "utf16")),
        Values(
            "text_sizes",
            tuple(f"{c} CHARACTER SET utf8mb4" for c in _SIZES),
            (
                *each(_SIZES, *_SMALL),
                ("'abcd'", *("REPEAT('x', 255)",) * 7),
                ("'😀'", "REPEAT('😀', 255)", "REPEAT('é', 255)", "REPEAT('€', 256)", "REPEAT('z', 255)",
                 "REPEAT('t', 65535)", "REPEAT('é', 40000)", "REPEAT('€', 30000)"),
            ),
            keys=False,
        ),
    ),
)  # fmt: skip
GB18030 = Family(
    "text in MySQL's gb18030",
    (Values("text_gb18030", ("VARCHAR(20) CHARACTER SET gb18030",), (("x'D6D095328236'",), ("x'5C'",)), MYSQL),),
)
FAMILIES = (CHARSETS, GB18030)
