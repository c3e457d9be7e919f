"""Assert that two servers hold the same rows, by a comparison that shares nothing with the code under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sandbox.compare import TableComparison, compare

if TYPE_CHECKING:
    from replica_cli.sandbox.server import SandboxServer


def assert_equal(
    primary: SandboxServer,
    secondary: SandboxServer,
    schema: str,
    secondary_schema: str | None = None,
    *,
    may_have_more_columns: bool = False,
) -> list[TableComparison]:
    """Fail with the first differing rows of every differing table; return what was compared."""
    results = compare(
        primary.address(),
        secondary.address(),
        schema,
        secondary_schema,
        may_have_more_columns=may_have_more_columns,
    )
    # Two empty schemas are equal and prove nothing.
    assert results, f"{schema} has no tables on {primary} nor on {secondary}"
    differing = [r for r in results if not r.is_equal]
    assert not differing, f"A is {primary}, B is {secondary}\n" + "\n".join(map(_described, differing))
    return results


def _described(result: TableComparison) -> str:
    detail = result.detail.replace("\n", "\n    ")
    return f"  {result.schema}.{result.table}: {result.rows_a} rows on A, {result.rows_b} on B\n    {detail}"
