"""What a server's version and variables say about it."""

from __future__ import annotations

import pytest

from replica_cli.mysql.facts import ServerFacts


@pytest.mark.parametrize(
    ("is_mariadb", "version", "variables", "expected"),
    [
        (False, (9, 5, 9), {}, False),
        (False, (9, 6, 0), {"innodb_native_foreign_keys": "OFF"}, True),
        (False, (9, 7, 4), {"innodb_native_foreign_keys": "ON"}, False),
        (False, (10, 0, 0), {}, True),
        (True, (11, 8, 9), {}, False),
        (True, (12, 3, 0), {"innodb_native_foreign_keys": "OFF"}, False),
    ],
)
def test_cascades_are_logged_by_what_the_primary_does_not_by_its_version_alone(
    variables: dict[str, str], version: tuple[int, int, int], *, is_mariadb: bool, expected: bool
) -> None:
    assert ServerFacts(is_mariadb, version, "", 1, "", variables).logs_cascades is expected
