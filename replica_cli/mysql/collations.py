"""Read the collation ids of a server, as events contain them, and map charsets to Python's codecs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# Python's codecs for the charsets of servers. In both flavours latin1 is cp1252 with five more bytes, mapped 1:1.
_CODECS = {
    "utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "ascii": "utf-8", "binary": "utf-8", "latin1": "cp1252",
    "latin2": "iso8859_2", "latin5": "iso8859_9", "latin7": "iso8859_13", "cp1250": "cp1250", "cp1251": "cp1251",
    "cp1256": "cp1256", "cp1257": "cp1257", "cp850": "cp850", "cp852": "cp852", "cp866": "cp866", "cp932": "cp932",
    "sjis": "shift_jis", "ujis": "euc_jp", "eucjpms": "euc_jp", "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030",
    "big5": "big5", "euckr": "euc_kr", "koi8r": "koi8_r", "koi8u": "koi8_u", "greek": "iso8859_7",
    "hebrew": "iso8859_8", "tis620": "tis_620", "macroman": "mac_roman", "macce": "mac_latin2",
}  # fmt: skip
# Charsets in which a later byte of a character may be the byte of a backslash or a quote.
_AMBIGUOUS = frozenset({"cp932", "sjis", "gbk", "gb18030", "big5"})
_MANY_BYTES = _AMBIGUOUS | {"utf8mb4", "utf8mb3", "utf8", "ujis", "eucjpms", "gb2312", "euckr"}


def read_collations(session: Session) -> dict[int, tuple[str, str]]:
    """Return the server's collations by id: (collation, charset).

    MariaDB's collations whose charset depends on the context (uca1400_ai_ci) have one id for each charset.
    """
    if session.is_mariadb:
        tables = "information_schema.collation_character_set_applicability"
        row = session.row(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'information_schema' "
            "AND table_name = 'COLLATION_CHARACTER_SET_APPLICABILITY' AND column_name = 'ID'"
        )
        if row and row[0]:
            rows = session.texts(f"SELECT id, full_collation_name, character_set_name FROM {tables}")
            return {int(i): (str(c), str(s)) for i, c, s in rows if i is not None}
    rows = session.texts("SELECT id, collation_name, character_set_name FROM information_schema.collations")
    return {int(i): (str(c), str(s)) for i, c, s in rows if i is not None}


def has_one_byte(charset: str) -> bool:
    """Return True if every character of a charset has one byte, and 0xA0 is its no-break space."""
    return charset in _CODECS and charset not in _MANY_BYTES | {"binary", "ascii"}


def is_ambiguous(text: str, charset: str) -> bool:
    """Return True if a server may read other characters in a decoded text than Python does, for example a quote.

    Of some charsets Python knows fewer characters than the servers. And the servers take only one byte after a
    backslash.
    """
    return charset in _AMBIGUOUS and re.search(r"[\udc80-\udcff]|\\[^\x00-\x7f]", text) is not None


def codec_of(charset: str) -> str:
    """Return Python's codec for a server's charset, utf-8 if there is none (the caller escapes what does not fit)."""
    return _CODECS.get(charset, "utf-8")
