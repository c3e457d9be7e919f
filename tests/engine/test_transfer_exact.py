"""Values that a copy by text can lose without an error: digits of floating numbers, types inside documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.copier import Copier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer

_DOCUMENTS = (
    "CAST(DATE'2024-02-29' AS JSON)",
    "CAST(TIME'-01:02:03.5' AS JSON)",
    "CAST(TIMESTAMP'2024-02-29 01:02:03.000001' AS JSON)",
    "CAST(1.50 AS JSON)",
    "CAST(CAST(7 AS DECIMAL(5,0)) AS JSON)",
    "CAST(x'FF00FE27' AS JSON)",
    "JSON_OBJECT('d', CAST('2024-01-01' AS DATE), 'a', JSON_ARRAY(1.50, x'00', '1.5', JSON_OBJECT('b', 2)), 'n', NULL)",
    "JSON_ARRAY(JSON_OBJECT('z', CAST('10:00:00' AS TIME), 'long', '10:00:00'), JSON_ARRAY(), JSON_OBJECT(), 1e0, 1.0)",
    '\'{"a": {"x": 1}, "b": {"y": "2024-01-01"}}\'',
    "NULL",
)


@pytest.fixture(params=["ON", "OFF"], ids=["load", "insert"])
def copier(
    primary: SandboxServer, secondary: SandboxServer, schema: str, request: pytest.FixtureRequest
) -> Iterator[Copier]:
    with secondary.session() as session:
        session.execute(f"SET GLOBAL local_infile = {request.param}")
        yield Copier(primary, secondary, schema)
        session.execute("SET GLOBAL local_infile = ON")


@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "id INT"])
def test_floating_numbers_keep_every_digit(copier: Copier, key: str) -> None:
    hard = [
        "2.2250738585072014e-308",
        "-2.2250738585072014e-308",
        "-1.7976931348623157e308",
        "-1.2345678901234567e-300",
    ]
    small = ["1.17549435e-38", "-1.17549435e-38", "-3.4028234e38", "-1e-45"]
    rows = ", ".join(f"({n}, {a}, {b})" for n, (a, b) in enumerate(zip(hard, small, strict=True)))
    copier.on_primary(f"CREATE TABLE f ({key}, a DOUBLE, b FLOAT)", f"INSERT INTO f VALUES {rows}")
    copier.copy()
    with copier.primary.session(copier.schema) as on_primary, copier.secondary.session(copier.schema) as on_secondary:
        query = "SELECT id, a, b = 1.17549435e-38, CONCAT(a), ABS(b) * 1e0 FROM f ORDER BY id"
        assert on_primary.rows(query) == on_secondary.rows(query)
    copier.compare()


@pytest.mark.servers("mysql")
@pytest.mark.parametrize("key", ["id INT PRIMARY KEY", "id INT"])
def test_documents_keep_the_types_that_their_text_hides(copier: Copier, key: str) -> None:
    rows = ", ".join(f"({n}, {document}, 'plain')" for n, document in enumerate(_DOCUMENTS))
    copier.on_primary(
        f"CREATE TABLE d ({key}, j JSON, v VARCHAR(9))",
        f"INSERT INTO d VALUES {rows}",
        "CREATE TABLE nested (id INT PRIMARY KEY, j JSON)",
        f"INSERT INTO nested VALUES (1, '{'[' * 99}1{']' * 99}'), (2, JSON_ARRAY(CAST('2024-01-01' AS DATE)))",
    )
    copier.copy()
    for table in ("d", "nested"):
        query = f"SELECT id, JSON_TYPE(j), JSON_STORAGE_SIZE(j), CAST(j AS CHAR) FROM {table} ORDER BY id"
        with (
            copier.primary.session(copier.schema) as on_primary,
            copier.secondary.session(copier.schema) as on_secondary,
        ):
            assert on_primary.rows(query) == on_secondary.rows(query)


@pytest.mark.servers("mysql")
def test_a_document_that_no_sql_makes_is_refused_by_name(copier: Copier) -> None:
    copier.on_primary(
        "CREATE TABLE d (id INT PRIMARY KEY, j JSON, b BIT(3))",
        "INSERT INTO d VALUES (1, NULL, 5)",
        "UPDATE d SET j = JSON_OBJECT('b', JSON_ARRAY(b))",
    )
    result = copier.run(copier.plan())
    ((table, message),) = result.errors
    assert table.endswith(".d")
    assert "column j" in message
    assert "no SQL can make" in message
