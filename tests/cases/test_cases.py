"""Each folder is a bug that was, as SQL: `create.sql` is copied, `live.sql` is streamed, `expect` says what comes out.

`expect` holds lines: `# why`, `servers: mariadb` (or mysql; both without it), `check: a query with the same answer on
both sides`, and last `equal`, or `refused: words of the reason`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from replica_cli.sandbox.binaries import ServerBinary
    from tests.support.command import Replica

KEYS = frozenset({"servers", "check", "equal", "refused"})
_FOLDERS = sorted(path.parent for path in Path(__file__).parent.glob("*/expect"))


def _statements(path: Path) -> list[str]:
    return [text for part in path.read_text().split(";\n") if (text := part.strip())]


def _expected(folder: Path) -> dict[str, str]:
    lines = [line for line in (folder / "expect").read_text().splitlines() if line and not line.startswith("#")]
    expected = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert expected.keys() <= KEYS, f"{folder.name}/expect has a line that means nothing"
    return expected


@pytest.mark.parametrize("engine", ["auto", "sql"])
@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda path: path.name)
def test_case(replica: Replica, server_binary: ServerBinary, folder: Path, engine: str) -> None:
    expected = _expected(folder)
    if str(server_binary.flavour) not in expected.get("servers", "mariadb mysql"):
        pytest.skip(f"the case is for {expected['servers']}")
    replica.settings["REPLICA_ENGINE"] = engine
    replica.on_primary(*_statements(folder / "create.sql"))
    if "refused" in expected:
        ended = replica.start("stream", "--until-caught-up", "--json").end(patience_seconds=120)
        assert ended.code != 0
        assert expected["refused"] in str(ended.error["message"])
        return
    assert "equal" in expected
    replica.catch_up()
    replica.on_primary(*_statements(folder / "live.sql"))
    replica.catch_up()
    replica.assert_nothing_is_noted()
    replica.assert_equal()
    if "check" in expected:
        with replica.primary.session(replica.schema) as session:
            assert replica.on_secondary(expected["check"]) == session.rows(expected["check"])
