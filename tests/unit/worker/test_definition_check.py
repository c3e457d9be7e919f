"""Which errors of rows the check of definitions explains by a statement of the stream."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from replica_cli.applier.ddl.altered import AlteredTables
from replica_cli.applier.window import Windows
from replica_cli.core.errors import ApplyRefused, ComputedOtherwise, Drift, LockWait, RowMissing
from replica_cli.core.table import TableName
from replica_cli.worker.definition_check import DefinitionCheck

ALTERED, OTHER = TableName("s", "altered"), TableName("s", "other")


@pytest.mark.parametrize(
    ("kind", "is_seen", "is_explained"),
    [
        (RowMissing, True, True),
        (RowMissing, False, False),
        (Drift, False, True),
        (ComputedOtherwise, False, False),
        # A copy would wait for the same lock.
        (LockWait, True, False),
        (LockWait, False, False),
    ],
)
def test_only_what_a_copy_mends_is_explained(kind: type[ApplyRefused], *, is_seen: bool, is_explained: bool) -> None:
    altered = AlteredTables()
    altered.doubt(ALTERED)
    server = Mock(is_mariadb=True)
    check = DefinitionCheck(
        altered,
        Mock(),
        primary=Mock(),
        primary_facts=server,
        catalog=server,
        store=Mock(load=frozenset),
        windows=Windows({}),
    )
    if is_seen:
        check._seen[ALTERED] = Mock()
    found = check.explained(kind("fails", table=ALTERED))
    assert (found is not None) == is_explained
    assert check.explained(kind("fails", table=OTHER)) is None
    assert check.explained(kind("fails")) is None
