"""Random tables and random histories, as SQL for both flavours."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

Pair = tuple[str, str]


def _texts(charset: str) -> st.SearchStrategy[str]:
    alphabet = "aAbB \\'%é" if charset != "utf8mb4" else "aAbB \\'%éß€😀\0"
    return st.text(alphabet, max_size=6).map(lambda text: _quoted(text, charset))


def _quoted(text: str, charset: str) -> str:
    raw = text.encode("utf-16-be" if charset == "ucs2" else "cp1252" if charset == "latin1" else "utf-8")
    return f"_{charset} x'{raw.hex()}'"


def _moments(fraction: int) -> st.SearchStrategy[str]:
    digits = st.integers(0, 10**fraction - 1).map(lambda n: f".{n:0{fraction}d}" if fraction else "")
    days = st.sampled_from(["0000-00-00", "2024-00-15", "2024-02-31", "1000-01-01", "9999-12-31", "1999-06-07"])
    clocks = st.sampled_from(["00:00:00", "23:59:59", "12:34:56"])
    return st.builds(lambda day, clock, tail: f"'{day} {clock}{tail}'", days, clocks, digits)


def _clocks() -> st.SearchStrategy[str]:
    clock = st.sampled_from(["00:00:00.000001", "838:59:58.999999", "01:02:03.5"])
    return st.builds(lambda sign, text: f"'{sign}{text}'", st.sampled_from(["", "-"]), clock)


def _real(number: float) -> str:
    text = repr(number)
    return text if "e" in text else f"{text}e0"


def _documents() -> st.SearchStrategy[str]:
    return st.sampled_from(
        ["'1'", "'1.0'", "'\"a\"'", "'\"A\"'", "'null'", "'{\"a\": [1, null]}'", "'[]'", "'-1e-300'"]
    )


# A column's type, and the literals that go into it.
TYPES: dict[str, st.SearchStrategy[str]] = {
    "TINYINT": st.integers(-128, 127).map(str),
    "INT UNSIGNED": st.integers(0, 2**32 - 1).map(str),
    "BIGINT": st.integers(-(2**63), 2**63 - 1).map(str),
    "DECIMAL(20,7)": st.decimals(-(10**12), 10**12, places=7).map(str),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False).map(_real),
    "FLOAT": st.floats(width=32, allow_nan=False, allow_infinity=False).map(_real),
    "BIT(13)": st.integers(0, 2**13 - 1).map(str),
    "YEAR": st.sampled_from(["0", "1901", "2155", "2000"]),
    "DATETIME(6)": _moments(6),
    "DATETIME": _moments(0),
    "TIME(6)": _clocks(),
    "VARCHAR(9) CHARACTER SET utf8mb4": _texts("utf8mb4"),
    "CHAR(9) CHARACTER SET latin1": _texts("latin1"),
    "VARCHAR(9) CHARACTER SET ucs2": _texts("ucs2"),
    "TEXT CHARACTER SET utf8mb4": _texts("utf8mb4"),
    "BINARY(5)": st.binary(max_size=5).map(lambda raw: f"x'{raw.hex()}'"),
    "VARBINARY(9)": st.binary(max_size=9).map(lambda raw: f"x'{raw.hex()}'"),
    "BLOB": st.binary(max_size=300).map(lambda raw: f"x'{raw.hex()}'"),
    "ENUM('a', 'b', 'é')": st.integers(0, 3).map(str),
    "SET('p', 'q', 'r')": st.integers(0, 7).map(str),
    "JSON": _documents(),
    "DATE": st.sampled_from(["'0000-00-00'", "'2024-00-15'", "'2024-02-31'", "'1000-01-01'", "'9999-12-31'"]),
    "TIMESTAMP(3) NULL": st.sampled_from(["'1970-01-01 00:00:01.001'", "'2038-01-19 03:14:07.999'", "0"]),
    "MEDIUMINT UNSIGNED": st.integers(0, 2**24 - 1).map(str),
    "GEOMETRY": st.builds(
        lambda x, y, srid: f"ST_GeomFromText('LINESTRING({x} {y}, 0 0)', {srid})",
        st.integers(-80, 80), st.integers(-80, 80), st.sampled_from([0, 4326]),
    ),
    "VARCHAR(9) CHARACTER SET sjis COLLATE sjis_japanese_ci": st.sampled_from(
        ["_sjis x'835C'", "_sjis x'955C61'", "'a'", "'A '", "''"]
    ),
    "CHAR(9) CHARACTER SET utf16": st.sampled_from(["_utf16 x'D83DDE00'", "_utf16 x'00E90020'", "'a '", "''"]),
}  # fmt: skip
# Types that one flavour alone has.
MARIADB_TYPES: dict[str, st.SearchStrategy[str]] = {
    "UUID": st.uuids().map(lambda made: f"'{made}'"),
    "INET6": st.ip_addresses(v=6).map(lambda made: f"'{made}'"),
    "TEXT COMPRESSED": st.text("ab\u00e9", max_size=200).map(lambda text: f"'{text}'"),
}


@dataclass(frozen=True)
class History:
    """A table `t`, and transactions in their order; those with False are rolled back."""

    create: str
    transactions: tuple[tuple[tuple[str, ...], bool], ...]
    metadata: str


@st.composite
def histories(draw: st.DrawFn, *, is_mariadb: bool) -> History:
    """Return a table with a key or without, and what happens to its rows."""
    types = TYPES | (MARIADB_TYPES if is_mariadb else {})
    kinds = draw(st.lists(st.sampled_from(sorted(types)), min_size=1, max_size=5))
    has_key = draw(st.booleans())
    names = [f"c{n}" for n in range(len(kinds))]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    ids = st.integers(0, 5)
    values = {name: st.one_of(types[kind], st.just("NULL")) for name, kind in zip(names, kinds, strict=True)}

    def insert() -> str:
        row = ", ".join(draw(values[name]) for name in names)
        return f"{'REPLACE' if has_key else 'INSERT'} INTO t VALUES ({draw(ids)}, {row})"

    def update() -> str:
        name = draw(st.sampled_from(names))
        limit = "" if has_key else " LIMIT 1"
        return f"UPDATE t SET {name} = {draw(values[name])} WHERE id = {draw(ids)}{limit}"

    def move() -> str:
        return f"UPDATE IGNORE t SET id = {draw(ids)} WHERE id = {draw(ids)}"

    def delete() -> str:
        return f"DELETE FROM t WHERE id = {draw(ids)}{'' if has_key or draw(st.booleans()) else ' LIMIT 1'}"

    def savepoint() -> str:
        return f"SAVEPOINT s; {insert()}; ROLLBACK TO s"

    transactions = []
    for _ in range(draw(st.integers(1, 6))):
        steps = draw(
            st.lists(st.sampled_from([insert, insert, update, move, delete, savepoint]), min_size=1, max_size=5)
        )
        words = tuple(text for step in steps for text in step().split("; "))
        transactions.append((words, draw(st.integers(0, 4)) > 0))
    key = ", PRIMARY KEY (id)" if has_key else ""
    metadata = draw(st.sampled_from(["MINIMAL", "FULL"]))
    return History(f"CREATE TABLE t (id INT, {columns}{key})", tuple(transactions), metadata)
