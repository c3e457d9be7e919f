"""Tables with hard values, as SQL: what `capture.py` runs on real servers.

A case is columns and rows of literals; an id is put in front of each row. `None` in `flavours` means every server.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One table; `more` are statements after the INSERT (`{t}` its name), `before` and `after` run first and last."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    servers: tuple[str, ...] = ("mariadb:10.11", "mariadb:11.8", "mysql:9.7")
    more: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = field(default=())


_MARIADB = ("mariadb:10.11", "mariadb:11.8")
_MYSQL = ("mysql:9.7",)


def _each(columns: tuple[str, ...], *values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) * len(columns) for value in values)


def _integers() -> Case:
    bits = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
    columns = tuple(f"{name} {sign}" for name in bits for sign in ("", "unsigned", "unsigned zerofill"))
    low, high, one = [], [], []
    for width in bits.values():
        low += [str(-(1 << width - 1)), "0", "0"]
        high += [str((1 << width - 1) - 1), str((1 << width) - 1), str((1 << width) - 1)]
        one += ["-1", str(1 << width - 1), "1"]
    return Case("integers", columns, (tuple(low), tuple(high), tuple(one), ("NULL",) * len(columns)))


_DECIMALS = (
    "decimal(65,30)", "decimal(65,0)", "decimal(30,30)", "decimal(10,2)", "decimal(1,0)", "decimal(18,9)",
    "decimal(19,10)", "decimal(20,1)", "decimal(9,9)", "decimal(12,4) unsigned", "decimal(5,5)",
)  # fmt: skip


def _decimals() -> tuple[tuple[str, ...], ...]:
    zeros = ",".join("0" * len(_DECIMALS))
    lowest = "-0.000000000000000000000000000001,-1,0." + "9" * 30 + ",-99999999.99,-9,-999999999.999999999,"
    lowest += "123456789.0123456789,-1234567890123456789.5,-0.123456789,0.0001,-0.00001"
    highest = "9" * 35 + "." + "9" * 30 + "," + "9" * 65 + ",-0." + "9" * 30 + ",99999999.99,9,999999999.999999999,"
    highest += "-999999999.9999999999,1000000000000000000.1,0.999999999,99999999.9999,0.99999"
    others = (
        "-" + "1234567890" * 3 + ".5,-" + "9" * 65 + ",0." + "0" * 29 + "1,0.01,-1,0.000000001,1,9,0.000000001,1,0.1"
    )
    return *(tuple(row.split(",")) for row in (zeros, lowest, highest, others)), ("NULL",) * len(_DECIMALS)


_REALS = ("float", "double", "float(7,3)", "float unsigned", "double(20,5)")
_BITS = tuple(f"bit({n})" for n in (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 48, 56, 57, 63, 64))
_FRACTIONS = tuple(f"{name}({n}) null" for name in ("time", "datetime", "timestamp") for n in range(7))
_NINES = ("'838:59:58.{0}'",) * 7 + ("'9999-12-31 23:59:59.{0}'",) * 7 + ("'2038-01-19 03:14:07.{0}'",) * 7


def _fractions() -> tuple[tuple[str, ...], ...]:
    digits = list(range(7)) * 3
    nines = tuple(text.format("9" * d) for text, d in zip(_NINES, digits, strict=True))
    few = tuple(
        f"'{day}{'.' if d else ''}{'0' * (d - 1) + '1' if d else ''}'"
        for day, d in zip(
            ["-00:00:00"] * 7 + ["1000-01-01 00:00:00"] * 7 + ["1970-01-01 00:00:01"] * 7, digits, strict=True
        )
    )
    some = tuple(
        f"'{day}.{'789123'[:d]}'"
        for day, d in zip(["-12:34:56"] * 7 + ["2024-02-29 12:34:56"] * 14, digits, strict=True)
    )
    zero = ("'00:00:00'",) * 7 + ("'0000-00-00 00:00:00'",) * 14
    limit = ("'-838:59:58'",) * 7 + ("'2024-02-31 01:02:03'",) * 7 + ("'2000-12-31 23:59:59'",) * 7
    part = ("'-00:00:59'",) * 7 + ("'2024-00-15 00:00:09'",) * 7 + ("NULL",) * 7
    return nines, few, some, zero, limit, part, ("NULL",) * 21


def _strings() -> tuple[Case, ...]:
    columns = ("char(4)", "char(255)", "varchar(255)", "varchar(256)", "tinytext", "text", "mediumtext", "longtext")
    latin = tuple(f"{c} character set latin1" for c in columns)
    unicode = tuple(f"{c} character set utf8mb4" for c in columns)
    binaries = (
        "binary(4)",
        "binary(255)",
        "varbinary(255)",
        "varbinary(256)",
        "tinyblob",
        "blob",
        "mediumblob",
        "longblob",
    )
    small = ("''", "'ab '", r"'\\\'a'", r"'\0\n%'")
    raw = ("''", "x'61620000'", "x'00'", r"'\\\''", "x'FF00FE'")
    long = ("'abcd'", *("repeat('x', 255)",) * 7)
    longer = ("'a'", "'b'", "'c'", "repeat('y', 256)", "repeat('z', 255)", "repeat('t', 65535)")
    return (
        Case(
            "latin1", latin, (*_each(latin, *small, r"'\xe9'", "x'E981'"), long, (*longer, "''", "repeat('l', 66000)"))
        ),
        Case("utf8mb4", unicode, (*_each(unicode, *small, "'é€'", "x'F09F9880'"), long, ("NULL",) * 8)),
        Case(
            "binaries",
            binaries,
            (*_each(binaries, *raw), long, (*longer, "repeat('m', 66000)", "''"), ("NULL",) * 8),
        ),
    )


_CHARSETS = {
    "ucs2": "006100E920AC",
    "utf16": "0061D83DDE00",
    "utf16le": "61003DD800DE",
    "utf32": "000000610001F600",
    "sjis": "955C835C61",
    "gbk": "D55C8161",
    "big5": "A55CB35C",
    "cp932": "955C61",
    "ujis": "C9BD61",
    "euckr": "B0A161",
    "cp1251": "E0E1E2",
    "utf8mb3": "61C3A9",
    "ascii": "615C27",
    "koi8r": "C1C2",
    "eucjpms": "C9BD61",
}
_SET_SIZES = (1, 8, 9, 16, 17, 24, 25, 32, 33, 64)


def _sets() -> Case:
    columns = tuple(f"set({','.join(repr(f'm{n}') for n in range(size))})" for size in _SET_SIZES)
    rows = (
        ("0",) * len(columns),
        tuple(str((1 << size) - 1) for size in _SET_SIZES),
        tuple(str(1 << size - 1) for size in _SET_SIZES),
    )
    return Case("sets", columns, rows)


def _enums() -> Case:
    wide = ",".join(f"'m{n}'" for n in range(300))
    columns = (
        "enum('a','b','é') character set utf8mb4",
        f"enum({wide})",
        "enum('é','ü') character set latin1",
        "enum('a','b') character set ucs2",
    )
    return Case(
        "enums", columns, (("1",) * 4, ("3", "300", "2", "2"), ("''",) * 4, ("NULL",) * 4), before=("SET sql_mode=''",)
    )


_WKB = "x'E6100000010100000000000000000024400000000000003440'"
_OLD = tuple(f"{name}({n}) null" for name in ("time", "datetime", "timestamp") for n in range(7))
_UUIDS = tuple(
    (f"x'0123456789ab{version:x}def{variant:x}123456789abcdef'",) for version in range(16) for variant in range(16)
)
_JSON = (
    "'null'",
    "'true'",
    "'[]'",
    "'{}'",
    "'0'",
    "'-32768'",
    "'32767'",
    "'65535'",
    "'-32769'",
    "'2147483647'",
    "'4294967295'",
    "'-2147483649'",
    "'9223372036854775807'",
    "'-9223372036854775808'",
    "'18446744073709551615'",
    "'1.0'",
    "'-0.0'",
    "'1e100'",
    "'1e15'",
    "'1e16'",
    "'123456789012345680'",
    "'1234567890123456.5'",
    "'0.0001'",
    "'1e-5'",
    "'1.5e-7'",
    "'1.7976931348623157e308'",
    "'5e-324'",
    "'3.141592653589793'",
    "'999999999999999.9'",
    "'99999999999999990.0'",
    r"""'"quote \\" back \\\\ slash \\/ \\b\\f\\n\\r\\t\\u0001\\u001f é €"'""",
    """'{"a": [1, {"b": null, "long key ééé": "x"}], "": 2.5}'""",
    "CAST(CAST('2024-02-29' AS DATE) AS JSON)",
    "CAST(CAST('-01:02:03.5' AS TIME(6)) AS JSON)",
    "CAST(CAST('838:59:59' AS TIME(6)) AS JSON)",
    "CAST(CAST('2024-02-29 01:02:03.000001' AS DATETIME(6)) AS JSON)",
    "CAST(CAST('1.50' AS DECIMAL(10,2)) AS JSON)",
    "CAST(CAST('-0.000000000000000000000000000001' AS DECIMAL(65,30)) AS JSON)",
    "CAST(x'FF00FE27' AS JSON)",
    "JSON_OBJECT('d', CAST('2024-01-01' AS DATE), 'a', JSON_ARRAY(1.50, CAST(x'00' AS JSON)), 'n', NULL)",
    """JSON_OBJECT('q\\'"', JSON_ARRAY(CAST('10:00:00' AS TIME), 'plain', JSON_OBJECT('k', 1e0)))""",
    "CAST(CONCAT('[', REPEAT('70000, -40000, 5000000000, ', 900), '1]') AS JSON)",
    "CONCAT('[\"', REPEAT('x', 70000), '\", {\"k\": [4294967295, -1, true]}]')",
    "NULL",
)

CASES = (
    _integers(),
    Case("decimals", _DECIMALS, _decimals()),
    Case(
        "reals",
        _REALS,
        (
            ("0.1",) * 5,
            ("-0e0", "-0e0", "-0e0", "0", "0"),
            ("3.4028234e38", "1.7976931348623157e308", "9999.999", "3.4028234e38", "123456789012345.12345"),
            ("-3.4028234e38", "-1.7976931348623157e308", "-9999.999", "1e-45", "-0.00001"),
            ("1.17549435e-38", "5e-324", "0.001", "16777217", "1e10"),
            ("1e-45", "2.2250738585072014e-308", "1234.567", "123456.789", "100"),
            ("NULL",) * 5,
        ),
    ),
    Case("bits", _BITS, (("0",) * 17, ("1",) * 17, tuple(str((1 << int(b[4:-1])) - 1) for b in _BITS), ("NULL",) * 17)),
    Case(
        "years",
        ("year", "date"),
        (
            ("0", "'0000-00-00'"),
            ("1901", "'2024-00-15'"),
            ("2155", "'9999-12-31'"),
            ("2000", "'2024-02-31'"),
            ("1970", "'0001-01-01'"),
            ("NULL", "'2024-05-00'"),
        ),
    ),
    Case("fractions", _FRACTIONS, _fractions()),
    Case(
        "old_temporals",
        _OLD,
        _fractions(),
        ("mariadb:10.11",),
        before=("SET GLOBAL mysql56_temporal_format=OFF",),
        after=("SET GLOBAL mysql56_temporal_format=ON",),
    ),
    *_strings(),
    Case(
        "charsets",
        tuple(
            f"{kind} character set {charset}" for charset in _CHARSETS for kind in ("varchar(20)", "char(10)", "text")
        ),
        (tuple(f"x'{code}'" for code in _CHARSETS.values() for _ in range(3)),),
    ),
    Case(
        "char_bounds",
        (
            "char(63) character set utf8mb4",
            "char(64) character set utf8mb4",
            "char(255) character set utf8mb4",
            "varchar(63) character set utf8mb4",
            "varchar(64) character set utf8mb4",
        ),
        (
            ("'a'",) * 5,
            ("repeat('é', 63)",) * 5,
            ("''", "repeat('€', 64)", "repeat('😀', 255)", "repeat('😀', 63)", "repeat('😀', 64)"),
        ),
    ),
    _enums(),
    _sets(),
    Case(
        "nulls",
        tuple(
            f"{kind} {null}"
            for null in ("null", "not null")
            for kind in ("tinyint", "varchar(9)", "datetime", "decimal(9,3)", "mediumint unsigned", "blob")
        ),
        tuple(
            tuple(
                "NULL"
                if n < 6 and pattern >> n & 1
                else ("7", "'x'", "'2024-01-02 03:04:05'", "-1.5", "16777215", "'b'")[n % 6]
                for n in range(12)
            )
            for pattern in range(64)
        ),
    ),
    Case(
        "changes",
        ("int", "varchar(20)", "text", "datetime(3)"),
        (("1", "'a'", "'t'", "'2024-01-02 03:04:05.678'"), ("2", "NULL", "NULL", "NULL")),
        more=("UPDATE {t} SET c1 = c1 + 1", "UPDATE {t} SET c2 = 'now', c3 = NULL WHERE id = 1", "DELETE FROM {t}"),
    ),
    Case(
        "minimal_changes",
        ("int", "varchar(20)", "text", "datetime(3)"),
        (("1", "'a'", "'t'", "'2024-01-02 03:04:05.678'"), ("2", "NULL", "NULL", "NULL")),
        before=("SET binlog_row_image=MINIMAL",),
        more=("UPDATE {t} SET c1 = c1 + 1", "UPDATE {t} SET c2 = 'now', c3 = NULL WHERE id = 1", "DELETE FROM {t}"),
        after=("SET binlog_row_image=FULL",),
    ),
    Case(
        "geometries",
        ("geometry", "point", "linestring"),
        (
            (
                _WKB.replace("E61000000", "000000000"),
                _WKB.replace("E61000000", "000000000"),
                "ST_GeomFromText('LINESTRING(0 0,1 1)')",
            ),
            ("NULL",) * 3,
        ),
    ),
    Case(
        "compressed",
        (
            "varchar(200) compressed character set latin1",
            "varbinary(1000) compressed",
            "text compressed",
            "longblob compressed",
        ),
        (
            ("''",) * 4,
            ("'a'",) * 4,
            ("repeat('a', 200)", "repeat('b', 1000)", "repeat('c', 60000)", "repeat('d', 70000)"),
            ("NULL",) * 4,
        ),
        _MARIADB,
    ),
    Case(
        "uuids",
        ("uuid",),
        (*_UUIDS, ("x'00000000000000000000000000000000'",), ("x'ffffffffffffffffffffffffffffff00'",), ("NULL",)),
        _MARIADB,
    ),
    Case(
        "inets",
        ("inet6", "inet4"),
        (("'::'", "'0.0.0.0'"), ("'2001:db8::'", "'127.0.0.1'"), ("'ffff::ff00'", "'10.1.0.0'"), ("NULL", "NULL")),
        _MARIADB,
    ),
    Case("mariadb_json", ("json",), (("""'{"a": 1.0}'""",), ("NULL",)), _MARIADB),
    Case("mariadb_vector", ("vector(2)",), (("x'0000803F00000040'",), ("x'0000000000000000'",)), ("mariadb:11.8",)),
    Case("vectors", ("vector(3)",), (("x'0000803F0000004000004040'",), ("NULL",)), _MYSQL),
    Case("documents", ("json",), tuple((value,) for value in _JSON), _MYSQL),
    Case("gb18030", ("varchar(20) character set gb18030",), (("x'D6D095328236'",),), _MYSQL),
)
