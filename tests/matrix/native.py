"""Types that only one flavour has: UUID, INET4, INET6, VECTOR, COMPRESSED columns."""

from __future__ import annotations

from tests.matrix.hard import MARIADB, Family, Values

_VERSIONS = [(version, variant) for version in range(16) for variant in range(0, 16, 3)]
_UUIDS = (
    *(f"'01234567-89ab-{version:x}def-{variant:x}123-456789abcdef'" for version, variant in _VERSIONS),
    "'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffff00'", "NULL",
)  # fmt: skip
_INETS = (
    ("'::'", "'0.0.0.0'"), ("'2001:db8::'", "'127.0.0.1'"), ("'::ffff:1.2.3.4'", "'255.255.255.255'"),
    ("'fe80::ff00'", "'10.1.0.0'"), ("'1:2:3:4:5:6:7:8'", "'1.2.3.4'"), ("NULL", "NULL"),
)  # fmt: skip
_COMPRESSED = (
    "VARCHAR(200) COMPRESSED CHARACTER SET latin1", "VARBINARY(1000) COMPRESSED", "TEXT COMPRESSED",
    "LONGBLOB COMPRESSED",
)  # fmt: skip

FAMILIES = (
    Family("UUID (MariaDB)", (Values("uuids", ("UUID",), tuple((u,) for u in _UUIDS), MARIADB),)),
    Family("INET4, INET6 (MariaDB)", (Values("inets", ("INET6", "INET4"), _INETS, MARIADB),)),
    Family(
        "VECTOR",
        (
            Values(
                "vectors",
                ("VECTOR(3)",),
                (("x'0000803F0000004000004040'",), ("x'000000000000000000000080'",), ("NULL",)),
                ("mariadb:11.8", "mysql:9.7"),
                keys=False,
            ),
        ),
    ),
    Family(
        "COMPRESSED columns (MariaDB)",
        (
            Values(
                "compressed",
                _COMPRESSED,
                (
                    ("''",) * 4, ("'a'",) * 4, ("NULL",) * 4,
                    ("REPEAT('a', 200)", "REPEAT('b', 1000)", "REPEAT('c', 60000)", "REPEAT('d', 70000)"),
                ),
                MARIADB,
                keys=False,
            ),
        ),
    ),
)  # fmt: skip
