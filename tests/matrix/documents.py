"""JSON: what both flavours write the same, numbers at their ends, depth, and MySQL's opaque values."""

from __future__ import annotations

from tests.matrix.hard import MARIADB, MYSQL, Family, Values

_PLAIN = (
    "'null'", "'true'", "'[]'", "'{}'", "'0'", "'-32769'", "'4294967295'", "'-9223372036854775808'",
    "'18446744073709551615'", "'1.5'", "'-0.0'", "'1.0'", "'3.141592653589793'", "'9007199254740993'",
    r"""'"quote \\" back \\\\ slash \\/ \\b\\f\\n\\r\\t\\u0001 é € 😀"'""", """'"it''s"'""",
    """'{"a": [1, {"b": null, "long key ééé": "x"}], "": 2.5}'""", "NULL",
)  # fmt: skip
_DOUBLES = ("'1e100'", "'1.7976931348623157e308'", "'5e-324'", "'1e-5'", "'123456789012345680000.0'")
_DEEP = (f"'{'[' * 31}1{']' * 31}'",)
_DEEPEST = (f"'{'[' * 99}1{']' * 99}'", f"""'{'{"k":' * 99}1{"}" * 99}'""")
_WIDE = (
    "CONCAT('[', REPEAT('70000, -40000, 5000000000, ', 900), '1]')",
    "CONCAT('[\"', REPEAT('x', 70000), '\", {\"k\": [4294967295, -1, true]}]')",
)
_OPAQUE = {
    "dates": ("CAST(DATE'2024-02-29' AS JSON)", "CAST(TIME'-01:02:03.5' AS JSON)", "CAST(TIME'838:59:59' AS JSON)",
              "CAST(TIMESTAMP'2024-02-29 01:02:03.000001' AS JSON)",
              "JSON_OBJECT('d', CAST('2024-01-01' AS DATE), 't', JSON_ARRAY(CAST('10:00:00' AS TIME), '10:00:00'))"),
    "decimals": ("CAST(1.50 AS JSON)", "CAST(CAST(7 AS DECIMAL(5,0)) AS JSON)",
                 "CAST(CAST('-0.000000000000000000000000000001' AS DECIMAL(65,30)) AS JSON)",
                 "JSON_OBJECT('price', CAST('19.90' AS DECIMAL(10,2)), 'plain', 19.9e0)"),
    "bytes": ("CAST(x'FF00FE27' AS JSON)", "JSON_OBJECT('b', x'00', 'n', JSON_ARRAY(x'5C27'))"),
}  # fmt: skip


def _of(*values: str) -> tuple[tuple[str, ...], ...]:
    return tuple((v,) for v in values)


def _opaque(name: str) -> Values:
    return Values(f"json_{name}", ("JSON",), _of(*_OPAQUE[name], "'\"2024-02-29\"'"), MYSQL, keys=False)


JSON = Family(
    "JSON (MariaDB's is LONGTEXT with a check)",
    (
        Values("json_plain", ("JSON",), _of(*_PLAIN, *_DOUBLES, *_DEEP, *_WIDE), keys=False),
        Values("json_deep", ("JSON",), _of(*_DEEPEST), MYSQL, keys=False),
    ),
)
SPACED = Family(
    "JSON as MariaDB keeps it: spaces, order of keys",
    (Values("json_spaced", ("JSON",), _of('\'{ "b" : 1 , "a" : [ ] }\'', "' 7 '"), MARIADB, keys=False),),
)
LOSSY = Family(
    "JSON that MySQL cannot hold as it is: a key twice, numbers beyond 64 bits",
    (
        Values("json_twice", ("JSON",), _of('\'{"a": 1, "a": 2}\''), MARIADB, keys=False),
        Values("json_large", ("JSON",), _of("'123456789012345678901234567890'"), MARIADB, keys=False),
        Values("json_long", ("JSON",), _of("'0.12345678901234567890123'"), MARIADB, keys=False),
    ),
)
OPAQUE_DATES = Family("JSON with dates and times of MySQL", (_opaque("dates"),))
OPAQUE_DECIMALS = Family("JSON with decimals of MySQL", (_opaque("decimals"),))
OPAQUE_BYTES = Family("JSON with bytes of MySQL", (_opaque("bytes"),))
FAMILIES = (JSON, SPACED, LOSSY, OPAQUE_DATES, OPAQUE_DECIMALS, OPAQUE_BYTES)
