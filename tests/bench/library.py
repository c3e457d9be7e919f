"""mysql-replication as a contestant: it reads the log and decodes its rows, and does nothing with them.

It is so slow that a tenth of the log has to do, its time multiplied: the rate is the same from the first to the last.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.failure import RunFailed
from tests.bench.proc import Cost
from tests.bench.result import Timing

if TYPE_CHECKING:
    from tests.bench.rig import Rig

_ROOT = Path(__file__).parents[2]
_SHARE = 10


@dataclass(frozen=True, slots=True)
class Library:
    """BinLogStreamReader over the same log, `rows` of each row event looked at."""

    def prepare(self, rig: Rig) -> None:
        """Nothing to do."""

    def run(self, rig: Rig) -> Timing:
        """Decode the log's first tenth in a process of its own."""
        count = max(1, rig.transactions // _SHARE)
        address = rig.primary.address()
        given = {
            "login": {"host": address.host, "port": address.port, "user": address.user,
                      "passwd": address.password.reveal()},
            "file": rig.start.file, "pos": rig.start.pos, "count": count, "is_mariadb": rig.is_mariadb,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.library"],
            cwd=_ROOT, input=json.dumps(given), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RunFailed(f"mysql-replication: {done.stderr[-2000:]}")
        answer = json.loads(done.stdout)
        times = rig.transactions / count
        note = f"{answer['rows']} rows in {answer['seconds']:.1f} s, times {times:.0f}"
        return Timing(answer["seconds"] * times, supervisor=Cost(answer["cpu_seconds"]), note=note)


def _decode(given: dict[str, object]) -> dict[str, float]:
    # Here alone: the benchmark's other parts do without it.
    from pymysqlreplication import BinLogStreamReader  # noqa: PLC0415
    from pymysqlreplication.event import XidEvent  # noqa: PLC0415
    from pymysqlreplication.row_event import RowsEvent  # noqa: PLC0415

    started = time.monotonic()
    stream = BinLogStreamReader(
        connection_settings=given["login"], server_id=990, log_file=given["file"], log_pos=given["pos"],
        resume_stream=True, is_mariadb=given["is_mariadb"],
    )  # fmt: skip
    rows = transactions = 0
    for event in stream:
        if isinstance(event, RowsEvent):
            rows += len(event.rows)
        elif isinstance(event, XidEvent):
            transactions += 1
            if transactions == given["count"]:
                break
    seconds = time.monotonic() - started
    stream.close()
    if transactions != given["count"]:
        raise RuntimeError(f"only {transactions} of {given['count']} transactions came")
    return {"seconds": seconds, "cpu_seconds": time.process_time(), "rows": rows}


if __name__ == "__main__":
    print(json.dumps(_decode(json.load(sys.stdin))))
