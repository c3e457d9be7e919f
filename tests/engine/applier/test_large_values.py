"""Rows above 16 MB come over, on every pair and engine: one event is several packets, and takes SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.settings import Apply, EngineChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.applier.harness import Harness

# 17 MB, of bytes that a literal has to escape, so that its text is larger than it is.
_LARGE = f"REPEAT(x'00275CFF', {17 * 2**18})"


@pytest.fixture
def roomy(harness: Harness, engine_choice: EngineChoice) -> Iterator[Harness]:
    """Both servers take packets of any size, in sessions that begin now."""
    harness.settings = replace(harness.settings, apply=Apply(engine=engine_choice))
    sessions = (harness.source, harness.other)
    before = [session.rows("SELECT @@GLOBAL.max_allowed_packet")[0][0] for session in sessions]
    for session in sessions:
        session.execute(f"SET GLOBAL max_allowed_packet = {2**30}")
    yield harness
    for session, limit in zip(sessions, before, strict=True):
        session.execute(f"SET GLOBAL max_allowed_packet = {limit}")


@pytest.mark.covers("rows above 16 MB, values of 64 MB")
def test_rows_above_16_megabytes(roomy: Harness) -> None:
    roomy.on_both("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB, n INT)")
    roomy.begin_here()
    with roomy.primary.session(roomy.schema) as session:
        session.execute(f"INSERT INTO big VALUES (1, {_LARGE}, 1), (2, 'small', 2), (3, {_LARGE}, 3)")
        session.execute("UPDATE big SET id = id + 4, v = CONCAT(v, 'x'), n = 3 WHERE id < 3")
        session.execute("DELETE FROM big WHERE id = 3")
    roomy.stream()
    digest = "SELECT id, n, LENGTH(v), SHA2(v, 256) FROM big ORDER BY id"
    with roomy.primary.session(roomy.schema) as ours, roomy.secondary.session(roomy.schema) as theirs:
        found = theirs.rows(digest)
        assert found == ours.rows(digest)
    assert [row[2] for row in found] == [17 * 2**20 + 1, 6]
