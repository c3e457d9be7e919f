"""What each server computes by itself, for columns and indexes: carried if it is the same in any session, else refused.

All rows are written by a session that differs from the copy's in every variable that a value may depend on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import Drift
from replica_cli.transfer.errors import TablesRefused
from tests.engine.applier.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.core.settings import EngineChoice
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.engine.copier import Copier

COLUMNS = (
    "id INT PRIMARY KEY, i INT, n DECIMAL(20, 6), g DOUBLE, c CHAR(10), v VARCHAR(60), d DATE, dt DATETIME, "
    "dt6 DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME, j JSON, e ENUM('a', 'b')"
)
NAMES = "(id, i, n, g, c, v, d, dt, dt6, ts, tm, j, e)"
ROW = (
    "({id}, 7, 12345.678901, 0.1, 'ab', 'Zoé', '2024-01-07', '2024-01-07 21:30:00', '2024-01-07 23:59:59.987654', "
    "'2024-01-07 20:30:00.75', '10:11:12', '{\"a\": [1, \"z\"]}', 'b')"
)
SAME = (
    "r INT AS (i * 2 + 1 - i % 3) STORED",
    "r VARCHAR(200) AS (CONCAT(UPPER(v), '-', LPAD(i, 5, '0'), COALESCE(n, 0))) STORED",
    "r VARCHAR(64) AS (SHA2(v, 256)) STORED",
    "r VARCHAR(20) AS (CASE WHEN i = 7 THEN 'seven' WHEN v = 'x' THEN 'x' ELSE 'other' END) STORED",
    "r VARCHAR(20) AS (JSON_UNQUOTE(JSON_EXTRACT(j, '$.a[1]'))) STORED",
    "r INT AS (YEAR(d) * 100 + MONTH(dt)) STORED",
    "r DATE AS (d + INTERVAL 1 DAY) STORED",
    "r DATE AS (DATE(dt6)) STORED",
    "r INT AS (TIMESTAMPDIFF(SECOND, d, dt6)) STORED",
    "r INT AS (WEEK(d, 1)) STORED",
    "r DOUBLE AS (g / 3) STORED",
    "r DECIMAL(30, 2) AS (ROUND(n * 1.19, 2)) STORED",
    "r VARCHAR(40) AS (dt) STORED",
    "r INT AS (TIME_TO_SEC(tm)) STORED",
    "r VARCHAR(10) AS (RTRIM(c)) STORED",
    "r INT AS (i IN (1, 7) AND v LIKE 'Zo%') STORED UNIQUE",
    "r DATE AS (DATE(ts)) VIRTUAL",
    "r DATETIME AS (ts) VIRTUAL, s INT AS (i * 2) VIRTUAL, KEY (s, v)",
)
SAME_ON_MYSQL = (
    "r VARCHAR(20) AS (DATE_FORMAT(d, '%Y-%m')) STORED",
    "KEY k ((LOWER(v)), (CAST(JSON_EXTRACT(j, '$.a[0]') AS UNSIGNED)))",
    "KEY k ((YEAR(d)))",
)
SAME_ON_MARIADB = ("r DOUBLE AS (UNIX_TIMESTAMP(ts)) PERSISTENT",)
OTHERS = (
    "r DATE AS (DATE(ts)) STORED",
    "r VARCHAR(40) AS (ts) STORED",
    "r INT AS (HOUR(ts)) STORED",
    "r DATE AS (CAST(ts AS DATE)) STORED",
    "r INT AS (ts > '2024-01-07 21:00:00') STORED",
    "r DATE AS (DATE(ts)) VIRTUAL, KEY (r)",
    "s DATE AS (DATE(ts)) VIRTUAL, r INT AS (YEAR(s)) STORED",
    "r DECIMAL(20, 8) AS (i / 3) STORED",
    "r DECIMAL(20, 8) AS (ROUND(n / i, 6)) STORED",
    "r DATETIME(6) AS (COALESCE(dt6, ts)) STORED",
    "r INT AS (tm < dt) STORED",
    "r VARCHAR(9) AS (HEX('é')) STORED",
)
OTHERS_ON_MYSQL = (
    "r DATETIME AS (FROM_UNIXTIME(i)) STORED",
    "r VARCHAR(20) AS (DAYNAME(d)) STORED",
    "r VARCHAR(20) AS (DATE_FORMAT(d, '%a %b')) STORED",
    "r DATETIME AS (dt6) STORED",
    "r TIME AS (CAST(dt6 AS TIME)) STORED",
    "r VARCHAR(30) AS (CONCAT(c, '!')) STORED",
    "r DATETIME AS (JSON_UNQUOTE(JSON_EXTRACT(j, '$.made'))) STORED",
    "r DATE AS (v) STORED",
    "r VARBINARY(200) AS (AES_ENCRYPT(v, 'k')) STORED",
    "KEY k ((DATE(ts)))",
)
OTHERS_ON_MARIADB = (
    "r DOUBLE AS (UNIX_TIMESTAMP(dt)) STORED",
    "r DATETIME(6) AS (tm) PERSISTENT",
    "r VARCHAR(40) AS (ENCRYPT(v)) PERSISTENT",
)
SETTINGS = (
    "time_zone = '+05:30', lc_time_names = 'de_DE', div_precision_increment = 0, default_week_format = 3, "
    "collation_connection = utf8mb4_bin, timestamp = 100000000.5"
)
MODES = "PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE,PIPES_AS_CONCAT,"


def _same(*, is_mariadb: bool) -> dict[str, str]:
    found = (*SAME, *(SAME_ON_MARIADB if is_mariadb else SAME_ON_MYSQL))
    return {f"same{number}": text for number, text in enumerate(found)}


def _others(*, is_mariadb: bool) -> dict[str, str]:
    found = (*OTHERS, *(OTHERS_ON_MARIADB if is_mariadb else OTHERS_ON_MYSQL))
    return {f"other{number}": text for number, text in enumerate(found)}


def _create(tables: dict[str, str]) -> list[str]:
    return [f"CREATE TABLE {table} ({COLUMNS}, {text}) CHARACTER SET utf8mb4" for table, text in tables.items()]


def _write(session: Session, *statements: str) -> None:
    """Run statements in the other session: its variables last for each of them alone."""
    rounding = "TIME_ROUND_FRACTIONAL" if session.is_mariadb else "TIME_TRUNCATE_FRACTIONAL"
    session.execute(f"SET SESSION {SETTINGS}, sql_mode = '{MODES}{rounding}'")
    for statement in statements:
        session.execute(statement)


@pytest.fixture
def other_session(primary: SandboxServer) -> Iterator[Session]:
    with primary.session() as session:
        yield session


def test_a_copy_takes_what_is_the_same_in_any_session_and_refuses_the_rest_by_name(
    copier: Copier, other_session: Session
) -> None:
    is_mariadb = other_session.is_mariadb
    same, others = _same(is_mariadb=is_mariadb), _others(is_mariadb=is_mariadb)
    copier.on_primary(*_create(same), *_create(others))
    other_session.execute(f"USE {copier.schema}")
    _write(other_session, *(f"INSERT INTO {t} {NAMES} VALUES {ROW.replace('{id}', '1')}" for t in same))
    with pytest.raises(TablesRefused) as refused:
        copier.plan()
    assert {name.table for name in refused.value.refused} == set(others)
    assert all(
        re.search(r"(column|index) \w+ is computed when a row is written, and ", r) for r in refused.value.reasons
    )
    copier.on_primary(*(f"DROP TABLE {t}" for t in others))
    copier.copy()
    copier.compare()


def test_a_stream_takes_what_is_the_same_in_any_session(harness: Harness, engine_choice: EngineChoice) -> None:
    harness.settings = replace(harness.settings, apply=replace(harness.settings.apply, engine=engine_choice))
    same = _same(is_mariadb=harness.is_mariadb)
    harness.begin_here()
    harness.on_primary(*_create(same))
    with harness.primary.session(harness.schema) as session:
        for number in ("1", "2"):
            row = ROW.replace("{id}", number)
            _write(session, *(f"INSERT INTO {t} {NAMES} VALUES {row}" for t in same))
            _write(session, *(f"UPDATE {t} SET i = NULL WHERE id = {number}" for t in same))
        _write(session, *(f"DELETE FROM {t} WHERE id = 1" for t in same))
    harness.stream()
    harness.assert_equal()


def test_a_stream_refuses_rows_of_what_another_session_computes_otherwise(harness: Harness) -> None:
    others = dict(list(_others(is_mariadb=harness.is_mariadb).items())[::5])
    for table, statement in zip(others, _create(others), strict=True):
        harness.begin_here()
        harness.on_primary(statement, f"INSERT INTO {table} (id, i) VALUES (1, 5)")
        with pytest.raises(Drift, match="is computed when a row is written") as refused:
            harness.stream()
        assert refused.value.table == harness.name(table)


@pytest.fixture
def harness(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Iterator[Harness]:
    made = Harness(primary, secondary, schema)
    yield made
    made.close()
