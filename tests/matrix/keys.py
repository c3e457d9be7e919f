"""Keys of all kinds: none, nullable, prefixes, collations with and without padding, swaps inside a transaction."""

from __future__ import annotations

from tests.matrix.hard import MARIADB, MYSQL, Family, Table

_CHANGES = (
    "UPDATE {t} SET v = v + 1 WHERE n BETWEEN {p} AND {p} + 99",
    "UPDATE {t} SET n = n + 500 WHERE n = {b} + 1",
    "DELETE FROM {t} WHERE n = {b} + 2",
)


def _insert(*rows: str) -> tuple[str, ...]:
    return (f"INSERT INTO {{t}} VALUES {', '.join(f'({row})' for row in rows)}",)


def _text_key(name: str, collation: str, servers: tuple[str, ...] = ()) -> Table:
    charset = collation.partition("_")[0]
    return Table(
        name,
        f"CREATE TABLE {{t}} (k VARCHAR(30) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY, n INT, v INT)",
        _insert(
                "CONCAT('Ab', {b}), {b} + 1, 1",
                "CONCAT('É ', {b}), {b} + 2, 2",
                "CONCAT('ß', {b}, ' '), {b} + 3, 3",
                "CONCAT('x', {b}), {b} + 4, NULL",
            ),
        (*_CHANGES, "UPDATE {t} SET k = CONCAT('aB', {b}) WHERE n = {b} + 501",
         "UPDATE {t} SET k = CONCAT('x', {b}, '  ') WHERE n = {b} + 4"),
        servers,
    )  # fmt: skip


_SHARED = ("utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_bin", "latin1_swedish_ci",
           "latin1_german2_ci", "sjis_japanese_ci")  # fmt: skip
_MARIADB_ONLY = ("utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci", "utf8mb4_unicode_520_nopad_ci")
_UCA1400 = ("utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_as_cs", "utf8mb4_uca1400_nopad_ai_ci")
_MYSQL_ONLY = ("utf8mb4_0900_ai_ci", "utf8mb4_0900_as_cs", "utf8mb4_0900_bin", "utf8mb4_de_pb_0900_ai_ci")

COLLATIONS = Family(
    "text keys of collations that both flavours have",
    others=tuple(_text_key(f"key_{c}", c) for c in _SHARED),
)
NOPAD = Family(
    "text keys of MariaDB's nopad collations", others=tuple(_text_key(f"key_{c}", c, MARIADB) for c in _MARIADB_ONLY)
)
UCA1400 = Family(
    "text keys of MariaDB's uca1400 collations", others=tuple(_text_key(f"key_{c}", c, MARIADB) for c in _UCA1400)
)
UCA0900 = Family(
    "text keys of MySQL's 0900 collations", others=tuple(_text_key(f"key_{c}", c, MYSQL) for c in _MYSQL_ONLY)
)
KINDS = Family(
    "tables without a key, nullable, prefix and BINARY(16) keys, swaps",
    others=(
        Table(
            "duplicates",
            "CREATE TABLE {t} (n INT, v INT, s VARCHAR(9))",
            _insert(
                "{b} + 1, 1, 'x'",
                "{b} + 1, 1, 'x'",
                "{b} + 1, 1, 'X'",
                "{b} + 2, NULL, NULL",
                "{b} + 2, NULL, NULL",
                "NULL, NULL, NULL",
            ),
            ("UPDATE {t} SET v = 7 WHERE n = {b} + 1 LIMIT 1", "DELETE FROM {t} WHERE n = {b} + 2 LIMIT 1",
             "UPDATE {t} SET s = 'y' WHERE n = {p} + 1 AND v = 1 LIMIT 1", "DELETE FROM {t} WHERE n IS NULL LIMIT 1"),
        ),
        Table(
            # Rows that compare as equal and are not: the later one goes, or changes.
            "alike",
            "CREATE TABLE {t} (n INT, s VARCHAR(9), t TEXT, c CHAR(3), e VARCHAR(9) CHARACTER SET ucs2, j JSON)",
            _insert(
                "{b} + 1, 'x', 'y', 'z', 'q', '1'",
                "{b} + 1, 'X', 'y', 'z', 'q', '1'",
                "{b} + 1, 'x ', 'Y', 'z', 'q', '1'",
                "{b} + 1, 'x', 'y ', 'Z', 'q', '1'",
                "{b} + 1, 'x', 'y', 'z', 'Q', '1'",
                "{b} + 1, 'x', 'y', 'z', 'q', '1.0'",
                "{b} + 1, 'x', 'y', 'z', 'é', '1'",
            ),
            ("DELETE FROM {t} WHERE n = {p} + 1 AND HEX(s) = HEX('X')",
             "DELETE FROM {t} WHERE n = {b} + 1 AND HEX(t) = HEX('Y')",
             "UPDATE {t} SET n = {b} + 2 WHERE n = {b} + 1 AND HEX(c) = HEX('Z')",
             "UPDATE {t} SET n = {b} + 3 WHERE n = {b} + 1 AND HEX(e) = '0051'",
             "UPDATE {t} SET n = {b} + 4 WHERE n = {b} + 1 AND HEX(e) = '00E9'",
             "DELETE FROM {t} WHERE n = {b} + 1 AND CAST(j AS CHAR) = '1.0'"),
        ),
        Table(
            "unique_nullable",
            "CREATE TABLE {t} (n INT, u INT UNIQUE, v INT)",
            _insert("{b} + 1, {b} + 1, 1", "{b} + 2, NULL, 2", "{b} + 3, NULL, 2", "{b} + 4, NULL, 4"),
            _CHANGES,
        ),
        Table(
            "prefix_key",
            "CREATE TABLE {t} (k VARCHAR(50), n INT, v INT, PRIMARY KEY (k(8)))",
            _insert("CONCAT('a', {b}, ' long enough'), {b} + 1, 1", "CONCAT('b', {b}, 'xxxxxx'), {b} + 2, 2"),
            (*_CHANGES, "UPDATE {t} SET k = CONCAT('c', {b}, 'yyyyyyy') WHERE n = {b} + 501"),
        ),
        Table(
            "blob_prefix_key",
            "CREATE TABLE {t} (k BLOB NOT NULL, n INT, v INT, PRIMARY KEY (k(8)))",
            _insert("CONCAT('a', {b}, 0x0000), {b} + 1, 1", "CONCAT('b', {b}, 0x00), {b} + 2, 2"),
            _CHANGES,
        ),
        Table(
            "binary_key",
            "CREATE TABLE {t} (k BINARY(16) PRIMARY KEY, n INT, v INT)",
            _insert(
                "CONCAT(x'00', {b}), {b} + 1, 1",
                "CONCAT(x'FF27', {b}), {b} + 2, 2",
                "CONCAT(x'5C', {b}, x'20'), {b} + 3, 3",
            ),
            (*_CHANGES, "UPDATE {t} SET k = CONCAT(x'01', {b}) WHERE n = {b} + 501"),
        ),
        Table(
            "swaps",
            "CREATE TABLE {t} (n INT PRIMARY KEY, u INT UNIQUE, v INT)",
            _insert("{b} + 1, {b} + 1, 1", "{b} + 2, {b} + 2, 2", "{b} + 3, {b} + 3, 3"),
            ("UPDATE {t} SET u = -1 WHERE n = {b} + 1", "UPDATE {t} SET u = {b} + 1 WHERE n = {b} + 2",
             "UPDATE {t} SET u = {b} + 2 WHERE n = {b} + 1", "UPDATE {t} SET n = -1 WHERE n = {b} + 3",
             "UPDATE {t} SET n = {b} + 3 WHERE n = {b} + 1", "UPDATE {t} SET n = {b} + 1 WHERE n = -1"),
        ),
        Table(
            "descending_key",
            "CREATE TABLE {t} (n INT, v INT, PRIMARY KEY (n DESC))",
            _insert("{b} + 1, 1", "{b} + 2, 2", "{b} + 3, 3"),
            _CHANGES,
        ),
    ),
)  # fmt: skip
FAMILIES = (COLLATIONS, NOPAD, UCA1400, UCA0900, KINDS)
