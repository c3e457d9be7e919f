"""The tables in which differences are planted: keys of many kinds, a column of each type, no key, hot rows, a family.

The rows of a table have the numbers 0 to ROWS - 1. Rows with even numbers are for the planted differences, the writer
changes the odd ones, which are their neighbours. Every tenth even number is free: there a row can be planted that the
primary does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS, BARE_ROWS = 5000, 1600
HOT_ROWS = 60
PARENTS = 500
# The first chunk has 2,000 rows: nearly half of the differences of a table are here, around its last row.
BORDER = range(1900, 2100)
_INSERTED_AT_ONCE = 500
_CI = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"


@dataclass(frozen=True)
class Column:
    """A column with the value of most rows, and another one that must count as different."""

    name: str
    type: str
    value: str
    other: str
    flavours: tuple[str, ...] = ("mariadb", "mysql")


COLUMNS = (
    Column("tiny", "TINYINT", "-128", "127"),
    Column("small", "SMALLINT UNSIGNED", "65535", "0"),
    Column("medium", "MEDIUMINT", "-8388608", "8388607"),
    Column("big", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614"),
    Column("exact", "DECIMAL(30,10)", "12345678901234567890.0000000001", "12345678901234567890.0000000002"),
    Column("single", "FLOAT", "0.1", "0.10000000894069672e0"),
    Column("twice", "DOUBLE", "0.3e0", "0.1e0 + 0.2e0"),
    Column("bits", "BIT(9)", "b'100000000'", "b'000000001'"),
    Column("fixed", f"CHAR(9) {_CI}", "'e'", "'é'"),
    Column("text", f"VARCHAR(40) {_CI}", "'a'", "'a '"),
    Column("letters", f"VARCHAR(40) {_CI}", "'a'", "'A'"),
    Column("latin", "VARCHAR(40) CHARACTER SET latin1", "'ä'", "'a'"),
    Column("nothing", "VARCHAR(40)", "NULL", "''"),
    Column("short_text", "TINYTEXT", "'x'", "NULL"),
    Column("long_text", f"MEDIUMTEXT {_CI}", "REPEAT('ab', 300)", "CONCAT(REPEAT('ab', 299), 'aB')"),
    Column("fixed_bytes", "BINARY(4)", "x'00010203'", "x'00010204'"),
    Column("bytes", "VARBINARY(9)", "x'61'", "x'6100'"),
    Column("blob_", "BLOB", "REPEAT(x'00ff', 200)", "REPEAT(x'00ff', 199)"),
    Column("day_", "DATE", "'2024-02-29'", "'2024-02-28'"),
    Column("clock", "TIME(6)", "'-00:00:01'", "'-00:00:01.000001'"),
    Column("moment", "DATETIME(6)", "'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"),
    Column("stamp", "TIMESTAMP(3) NULL", "'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.001'"),
    Column("year_", "YEAR", "2024", "NULL"),
    Column("choice", "ENUM('', 'a', 'b')", "'a'", "'b'"),
    Column("choices", "SET('a', 'b', 'c')", "'a,c'", "'a'"),
    Column("document", "JSON", """'{"a": [1, 2]}'""", """'{"a": [1, 3]}'"""),
    Column("place", "POINT", "POINT(1, 2)", "POINT(1, 3)"),
    Column("identity", "UUID", "'00112233-4455-6677-8899-aabbccddeeff'", "NULL", ("mariadb",)),
    Column("address", "INET6", "'::1'", "'::2'", ("mariadb",)),
)


@dataclass(frozen=True)
class PlantTable:
    """A table with differences.

    Attributes:
        name: its name.
        columns: the definitions of its columns and keys.
        values: returns the values of the row with a number.
        changes: assignments of which each makes a row different, with the column that they name.
        key: the columns of its key, empty if it has none.
        key_of: returns the values of the key of the row with a number.
        row_count: how many numbers its rows have.
    """

    name: str
    columns: str
    values: Callable[[int], str]
    changes: tuple[tuple[str, str], ...]
    key: str = "n"
    key_of: Callable[[int], str] = str
    row_count: int = ROWS

    def where(self, number: int) -> str:
        """Return the condition for the row with a number."""
        return f"({self.key}) = ({self.key_of(number)})" if self.key else f"n = {number}"

    def statements(self) -> Iterator[str]:
        """Yield what makes the table with its rows."""
        yield f"CREATE TABLE {self.name} ({self.columns})"
        wanted = [n for n in range(self.row_count) if not is_free(n)]
        for first in range(0, len(wanted), _INSERTED_AT_ONCE):
            rows = ",".join(f"({self.values(n)})" for n in wanted[first : first + _INSERTED_AT_ONCE])
            yield f"INSERT INTO {self.name} VALUES {rows}"


def is_free(number: int) -> bool:
    """Return True if the primary has no row with a number."""
    return number % 20 == 4


_CHANGES = (("a", "a = a + 1"), ("b", "b = CONCAT(b, ' ')"), ("b", "b = NULL"), ("a", "a = NULL"))


def _keyed(name: str, key: str, columns: str, key_of: Callable[[int], str]) -> PlantTable:
    return PlantTable(
        name,
        f"{columns}, n INT, a INT, b VARCHAR(40), PRIMARY KEY ({key})",
        lambda n: f"{key_of(n)}, {n}, {n * 7}, 'row {n}'",
        _CHANGES,
        key,
        key_of,
    )


def plant_tables(flavours: set[str]) -> tuple[PlantTable, ...]:
    """Return the tables that differences are planted in, with the types that all flavours of the servers have."""
    columns = [c for c in COLUMNS if flavours <= set(c.flavours)]
    types = ", ".join(f"{c.name} {c.type}" for c in columns)
    row = ", ".join(c.value for c in columns)
    changes = tuple((c.name, f"{c.name} = {c.other}") for c in columns)
    return (
        _keyed("by_number", "id", "id INT", lambda n: f"{n - 1000}"),
        _keyed("by_text", "code", f"code VARCHAR(20) {_CI}", lambda n: f"'{'kK'[n % 2]}-{n:06}'"),
        _keyed("by_bytes", "id", "id BINARY(16)", lambda n: f"UNHEX(LPAD(HEX({n * 7919 % 1_000_003}), 32, '0'))"),
        _keyed("by_exact", "id", "id DECIMAL(10,3)", lambda n: f"{n - 1000} / 8"),
        _keyed("by_moment", "at", "at DATETIME(3)", lambda n: f"TIMESTAMPADD(MICROSECOND, {n}000, '2024-01-01')"),
        _keyed("by_choice", "kind, id", "kind ENUM('a', 'b', 'c'), id INT", lambda n: f"{n % 3 + 1}, {n}"),
        _keyed(
            "by_pair", "code, id", f"code VARCHAR(20) {_CI}, id INT UNSIGNED", lambda n: f"'c{n // 100 % 50:02}', {n}"
        ),
        PlantTable("types", f"n INT PRIMARY KEY, {types}", lambda n: f"{n}, {row}", changes),
        # Each row is there twice.
        PlantTable(
            "bare", f"n INT, {types}", lambda n: f"{n // 4 * 4 + n % 2}, {row}", changes, "", row_count=BARE_ROWS
        ),
    )


HOT = PlantTable(
    "hot",
    "n INT PRIMARY KEY, a INT, b VARCHAR(40)",
    lambda n: f"{n}, 0, 'row {n}'",
    (("b", "b = CONCAT(b, ' ')"), ("a", "a = a - 1000000")),
    row_count=HOT_ROWS,
)
FAMILY = (
    "CREATE TABLE parent (id INT PRIMARY KEY, n INT)",
    (
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, n INT,"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE)"
    ),
    "INSERT INTO parent VALUES " + ",".join(f"({n}, {n})" for n in range(PARENTS)),
    "INSERT INTO child VALUES " + ",".join(f"({n}, {n % PARENTS}, {n})" for n in range(4 * PARENTS)),
)
