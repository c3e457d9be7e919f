"""The settings that SIGHUP changes in a running stream, and the message about the others."""

from __future__ import annotations

from pathlib import Path

from replica_cli.config import load_settings
from replica_cli.supervisor.reload import reloaded

BASE = {"MARIA_SECONDARY_HOSTS": "db2"}
NOWHERE = Path("no such folder/.env")


def test_each_setting_that_differs_is_reported_by_name() -> None:
    old = load_settings(None, BASE, NOWHERE)
    for name, value in (("REPLICA_LEASE", "9s"), ("REPLICA_READ_TIMEOUT", "77s"), ("REPLICA_PROGRESS_FOLDER", "/no")):
        found = reloaded(old, load_settings(None, {**BASE, name: value}, NOWHERE))
        assert (found.taken, found.refused, found.settings) == ((), (name,), old)
    found = reloaded(old, load_settings(None, {**BASE, "REPLICA_BATCH_AGE": "1s"}, NOWHERE))
    assert (found.taken, found.refused) == (("REPLICA_BATCH_AGE",), ())
    assert found.settings.batching.age_seconds == 1.0
