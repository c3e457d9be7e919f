"""Define the charsets of MariaDB and MySQL: the ids of their collations, and how Python reads them.

A new charset gets one row in `_CHARSETS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Charset:
    """One charset.

    Attributes:
        name: its name; utf8 is listed as utf8mb3.
        ids: the ids of its collations, as numbers and ranges. They are those of MariaDB 10.11, MariaDB 11.8 and
            MySQL 9.7. No id means one charset in one flavour and another charset in the other. A range may contain ids
            that no server uses.
        codec: Python's codec, empty if Python has none.
        has_one_byte: True if there is a codec, every character has one byte, and 0xA0 is the no-break space.
        is_ambiguous: True if a later byte of a character may be the byte of a backslash or a quote.
        uca1400: the id of MariaDB's uca1400_ai_ci, 0 if the charset has no such collation.
    """

    name: str
    ids: str
    codec: str = ""
    has_one_byte: bool = False
    is_ambiguous: bool = False
    uca1400: int = 0


_CHARSETS = (
    _Charset("armscii8", "32 64 1056 1088"),
    _Charset("ascii", "11 65 1035 1089", "utf-8"),
    _Charset("big5", "1 84 1025 1108", "big5", is_ambiguous=True),
    _Charset("binary", "63", "utf-8"),
    _Charset("cp1250", "26 34 44 66 99 1050 1090", "cp1250", has_one_byte=True),
    _Charset("cp1251", "14 23 50-52 1074-1075", "cp1251", has_one_byte=True),
    _Charset("cp1256", "57 67 1081 1091", "cp1256", has_one_byte=True),
    _Charset("cp1257", "29 58-59 1082-1083", "cp1257", has_one_byte=True),
    _Charset("cp850", "4 80 1028 1104", "cp850", has_one_byte=True),
    _Charset("cp852", "40 81 1064 1105", "cp852", has_one_byte=True),
    _Charset("cp866", "36 68 1060 1092", "cp866", has_one_byte=True),
    _Charset("cp932", "95-96 1119-1120", "cp932", is_ambiguous=True),
    _Charset("dec8", "3 69 1027 1093"),
    _Charset("eucjpms", "97-98 1121-1122", "euc_jp"),
    _Charset("euckr", "19 85 1043 1109", "euc_kr"),
    _Charset("gb18030", "248-250", "gb18030", is_ambiguous=True),
    _Charset("gb2312", "24 86 1048 1110", "gb2312"),
    _Charset("gbk", "28 87 1052 1111", "gbk", is_ambiguous=True),
    _Charset("geostd8", "92-93 1116-1117"),
    _Charset("greek", "25 70 1049 1094", "iso8859_7", has_one_byte=True),
    _Charset("hebrew", "16 71 1040 1095", "iso8859_8", has_one_byte=True),
    _Charset("hp8", "6 72 1030 1096"),
    _Charset("keybcs2", "37 73 1061 1097"),
    _Charset("koi8r", "7 74 1031 1098", "koi8_r", has_one_byte=True),
    _Charset("koi8u", "22 75 1046 1099", "koi8_u", has_one_byte=True),
    # In both flavours latin1 is cp1252 with five more bytes, mapped 1:1.
    _Charset("latin1", "5 8 15 31 47-49 94 1032 1071", "cp1252", has_one_byte=True),
    _Charset("latin2", "2 9 21 27 77 1033 1101", "iso8859_2", has_one_byte=True),
    _Charset("latin5", "30 78 1054 1102", "iso8859_9", has_one_byte=True),
    _Charset("latin7", "20 41-42 79 1065 1103", "iso8859_13", has_one_byte=True),
    _Charset("macce", "38 43 1062 1067", "mac_latin2", has_one_byte=True),
    _Charset("macroman", "39 53 1063 1077", "mac_roman", has_one_byte=True),
    _Charset("sjis", "13 88 1037 1112", "shift_jis", is_ambiguous=True),
    _Charset("swe7", "10 82 1034 1106"),
    _Charset("tis620", "18 89 1042 1113", "tis_620", has_one_byte=True),
    _Charset("ucs2", "35 90 128-151 159 640-642 1059 1114 1152 1174 2560-2727 2744-2759", uca1400=2560),
    _Charset("ujis", "12 91 1036 1115", "euc_jp"),
    _Charset("utf16", "54-55 101-124 672-674 1078-1079 1125 1147 2816-2983 3000-3015", uca1400=2816),
    _Charset("utf16le", "56 62 1080 1086"),
    _Charset("utf32", "60-61 160-183 736-738 1084-1085 1184 1206 3072-3239 3256-3271", uca1400=3072),
    _Charset("utf8mb3", "33 76 83 192-215 223 576-579 1057 1107 1216 1238 2048-2215 2232-2247", "utf-8", uca1400=2048),
    _Charset("utf8mb4", "45-46 224-247 255-323 608-611 1069-1070 1248 1270 2304-2471 2488-2503", "utf-8", uca1400=2304),
)
# Charsets whose text is UTF-8. Not binary, which has no text.
UTF8_CHARSETS = frozenset({"ascii", "utf8mb3", "utf8mb4"})
# Charsets that have MariaDB's uca1400 collations.
UCA1400_CHARSETS = tuple(each.name for each in _CHARSETS if each.uca1400)
# MySQL's two choices of default_collation_for_utf8mb4, by id.
MYSQL_UTF8MB4_COLLATIONS = {45: "utf8mb4_general_ci", 255: "utf8mb4_0900_ai_ci"}
# How the uca1400 collations without a language compare, in the order of their ids. Those of languages have higher ids.
_STRENGTHS = ("ai_ci", "ai_cs", "as_ci", "as_cs", "nopad_ai_ci", "nopad_ai_cs", "nopad_as_ci", "nopad_as_cs")
# MariaDB's names of these collations, by id.
UCA1400_COLLATIONS = {
    each.uca1400 + number: f"{each.name}_uca1400_{strength}"
    for each in _CHARSETS
    for number, strength in enumerate(_STRENGTHS)
    if each.uca1400
}
_BY_NAME = {each.name: each for each in _CHARSETS}
_OLD_UTF8 = re.compile(r"^utf8(?=_|$)")


def _numbers(text: str) -> list[int]:
    ids: list[int] = []
    for part in text.split():
        low, _, high = part.partition("-")
        ids.extend(range(int(low), int(high or low) + 1))
    return ids


_BY_ID = {number: each.name for each in _CHARSETS for number in _numbers(each.ids)}


def charset_of(collation_id: int) -> str | None:
    """Return the name of a collation's charset, None if the id is not known."""
    return _BY_ID.get(collation_id)


def canonical_charset(name: str) -> str:
    """Return a charset or collation under its new name, because servers use both: utf8 is utf8mb3."""
    return _OLD_UTF8.sub("utf8mb3", name)


def codec_of(charset: str) -> str:
    """Return Python's codec for a server's charset, utf-8 if there is none (the caller escapes what does not fit)."""
    known = _BY_NAME.get(canonical_charset(charset))
    return (known and known.codec) or "utf-8"


def has_one_byte(charset: str) -> bool:
    """Return True if every character of a charset has one byte, and 0xA0 is its no-break space."""
    return charset in _BY_NAME and _BY_NAME[charset].has_one_byte


def is_ambiguous(text: str, charset: str) -> bool:
    """Return True if a server may read other characters in a decoded text than Python does, for example a quote.

    Of some charsets Python knows fewer characters than the servers. And the servers take only one byte after a
    backslash.
    """
    if charset not in _BY_NAME or not _BY_NAME[charset].is_ambiguous:
        return False
    return re.search(r"[\udc80-\udcff]|\\[^\x00-\x7f]", text) is not None
