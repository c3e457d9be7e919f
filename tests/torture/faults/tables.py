"""Faults of tables: changed on the secondary, re-synced, copied by commands that are killed and resumed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import ServerError
from tests.torture.faults.fault import Fault, Scene
from tests.torture.tables import PLAIN, SCHEMA
from tests.torture.waiting import wait_until

if TYPE_CHECKING:
    from tests.torture.command import Command
    from tests.torture.site import Site

_BEHIND = {
    "table dropped": "DROP TABLE plain",
    "column dropped": "ALTER TABLE plain DROP COLUMN note",
    "column moved": "ALTER TABLE plain MODIFY note VARCHAR(60) FIRST",
    "column narrowed": "ALTER TABLE plain MODIFY note VARCHAR(3)",
    "rows deleted": "DELETE FROM plain WHERE id MOD 3 = 0",
    "rows changed keys": f"UPDATE plain SET id = id + {PLAIN} ORDER BY id DESC",
}
# Statements name their columns: until the next start they are as right as before.
_STILL_RIGHT_BY_NAME = frozenset({"column moved"})
_COPIED = ("plain", "account", "item", "bulk", "mix", "heap", "parent", "ledger", "shape")
_NOTICED = frozenset({"quarantined", "pending", "copying", "joining"})
_NOTICE_SECONDS = 60.0
_COPY_SECONDS = 120.0


def _change_behind(scene: Scene) -> None:
    """Break a table of the secondary: it has to be quarantined, the others go on, and a copy repairs it."""
    site = scene.site
    possible = {name: sql for name, sql in _BEHIND.items() if site.engine != "sql" or name not in _STILL_RIGHT_BY_NAME}
    scene.detail, statement = scene.chance.choice(list(possible.items()))
    # Narrowing refuses values that are longer: those go first, as somebody who wants it would do.
    site.execute("UPDATE plain SET note = NULL" if "narrowed" in scene.detail else "DO 1", statement)
    wait_until(lambda: dict(_states(scene)).get("plain") in _NOTICED, f"{site}: plain quarantined", _NOTICE_SECONDS)
    if ("plain", "quarantined") not in _states(scene):
        # Inside the replay window of an earlier copy it is copied again without a request.
        scene.detail += ", in the window"
    before = site.saved()
    wait_until(lambda: site.has_moved(before), f"{site} to go on without the table", 30)
    _copy(site, "plain")


def _add_column_behind(scene: Scene) -> None:
    """Give the secondary's table a column more: rows still fit, or it is quarantined; a copy makes it as it was."""
    site = scene.site
    site.execute("ALTER TABLE plain ADD COLUMN extra INT NULL DEFAULT 5 FIRST")
    scene.linger(1, 3)
    scene.detail = dict(_states(scene)).get("plain", "still fits")
    _copy(site, "plain")


def _copy_table(scene: Scene) -> None:
    """Copy a live table again while everything streams on."""
    site, table = scene.site, scene.chance.choice(_COPIED)
    scene.detail = table
    _copy(site, table)


def _copy_table_killed(scene: Scene) -> None:
    """Kill the stream while it copies a table again."""
    site, table = scene.site, scene.chance.choice(_COPIED)
    scene.detail = table
    asking = site.command("transfer", "--table", f"{SCHEMA}.{table}", "--secondary", site.name, "--yes")
    wait_until(lambda: not asking.is_running or table in dict(_states(scene)), "the copy to be requested", 60)
    scene.linger(0, 2)
    stream = site.start_stream()
    stream.kill_all()
    site.stream = None
    asking.kill_all()
    site.start_stream()


def _copy_all_killed(scene: Scene) -> None:
    """Start a whole copy from the beginning, kill it, resume it, kill that too, and let one of them finish."""
    site = scene.site
    site.stop_stream()
    words: tuple[str, ...] = ("transfer", "--restart", "--secondary", site.name, "--yes")
    for _ in range(scene.chance.randint(1, 3)):
        copying = site.command(*words)
        if _has_begun_and_lasts(scene, copying):
            copying.signal_group(signal.SIGKILL)
        copying.wait(30)
        if site.is_outdated(copying):
            continue
        if "--restart" in words:
            site.drop_strangers(copying)
        words = ("transfer", "--resume", "--secondary", site.name)
        if copying.code == 0:
            break
    else:
        if scene.chance.random() < 0.5:
            site.run(*words, patience_seconds=_COPY_SECONDS)
        # Else the stream finds the copy unfinished, and finishes it.
    site.start_stream()


def _copy(site: Site, table: str) -> None:
    words = ("transfer", "--table", f"{SCHEMA}.{table}", "--secondary", site.name, "--yes")
    site.run(*words, patience_seconds=_COPY_SECONDS)


def _has_begun_and_lasts(scene: Scene, copying: Command) -> bool:
    wait_until(lambda: not copying.is_running or bool(_states(scene)), "the copy to begin", 60)
    scene.linger(0, 3)
    scene.site.check_copy(copying)
    return copying.is_running


def _states(scene: Scene) -> list[tuple[str, str]]:
    try:
        return [(table, state) for table, state, _ in scene.site.noted()]
    except ServerError:
        return []


TABLE_FAULTS = (
    Fault("change-behind", 6, _change_behind),
    Fault("add-column-behind", 2, _add_column_behind),
    Fault("copy-table", 4, _copy_table),
    Fault("copy-table-killed", 3, _copy_table_killed),
    Fault("copy-all-killed", 3, _copy_all_killed),
)
