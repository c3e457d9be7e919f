"""The two servers of a program, the streams and commands on them, and what the commands said."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from tests.proof.plants import DIFFERS, EXTRA, MISSING, Plant
from tests.proof.tables import FAMILY, HOT, plant_tables
from tests.support.command import Replica
from tests.support.grants import make_accounts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.sandbox import Sandbox
    from tests.support.command import Ended, Running

SCHEMA, STATE_SCHEMA = "proof", "proof_state"
_LONG_SECONDS = 600.0
_FAST: dict[str, str | int | None] = {
    "innodb-flush-log-at-trx-commit": 2,
    "sync-binlog": 0,
    "innodb-buffer-pool-size": "256M",
}


class Mistake(AssertionError):
    """Something is not as it must be."""


class Rig:
    """A primary with the tables, and a secondary that has a copy of them."""

    def __init__(self, sandbox: Sandbox, binaries: Sequence[ServerBinary], folder: Path) -> None:
        primary, secondary = (
            sandbox.add(binary, name=name, options=_FAST)
            for binary, name in zip(binaries, ("primary", "secondary"), strict=True)
        )
        sandbox.start_all()
        self.replica = Replica(primary, {"db1": secondary}, SCHEMA, STATE_SCHEMA, folder, {"REPLICA_PROGRESS": "lines"})
        self.secondary = secondary
        self.tables = plant_tables({str(binary.flavour) for binary in binaries})
        statements = [s for table in (*self.tables, HOT) for s in table.statements()]
        self.replica.on_primary(*statements, *FAMILY)
        # As people run it: with the rights that it needs, and no others.
        make_accounts(self.replica, "proof")
        self.replica.run("transfer", patience_seconds=_LONG_SECONDS)

    def verify(self, *names: str, code: int) -> tuple[set[Plant], Counter[str]]:
        """Run `verify` and return the differences in tables with keys, and their number by kind in the others.

        Args:
            names: the tables that are compared, none for all.
            code: the expected exit code.

        Raises:
            Mistake: a table is not decided, or what is said and what is stored are not the same.
        """
        words = [word for name in names for word in ("--table", f"{SCHEMA}.{name}")]
        run = self.replica.start("verify", "run", "--json", "--restart", "--max-differences", "0", *words)
        ended = run.end(patience_seconds=_LONG_SECONDS)
        lines = ended.lines
        if ended.code != code:
            differing = [line for line in lines if line["type"] == "difference"][:5]
            raise Mistake(f"verify exited {ended.code}, not {code}: {differing}\n{lines[-1:]}\n{ended.stderr[-3000:]}")
        (summary,) = lines[-1]["secondaries"]
        if undecided := [(t["table"], t["undecided"]) for t in summary["tables"] if t["undecided"]]:
            raise Mistake(f"not decided: {undecided}")
        if len(summary["tables"]) != (len(names) or len(self.tables) + 3) or not all(
            t["position"] for t in summary["tables"]
        ):
            raise Mistake(f"tables without a proof: {summary['tables']}")
        stored = self.stored()
        said = sum(line["rows"] for line in lines if line["type"] == "difference")
        counted = sum(t["missing"] + t["extra"] + t["differs"] for t in summary["tables"])
        if not said == counted == len(stored[0]) + stored[1].total():
            raise Mistake(f"{said} said, {counted} in the summary, {stored} stored")
        return stored

    def stored(self) -> tuple[set[Plant], Counter[str]]:
        """Return the differences that are known: by number in tables with keys, and by kind in the others."""
        keyed, keyless = set(), Counter[str]()
        rows = self.replica.state(
            "SELECT table_name, kind, key_values, differing_columns, row_count FROM verify_difference"
        )
        for table, kind, key, columns, count in rows:
            if table == "bare":
                keyless[kind] += int(count)
                continue
            column = json.loads(columns)[0] if kind == DIFFERS and table != "hot" else ""
            keyed.add(Plant(table, self._number(table, kind, json.loads(key)), kind, column))
        return keyed, keyless

    def _number(self, table: str, kind: str, key: Sequence[tuple[str, str]]) -> int:
        """Return the number of the row with a key, which a server reads as it is shown; -1 if there is no such row."""
        if key[0][0] == "n":
            return int(key[0][1])
        condition = " AND ".join(f"{name} = {literal}" for name, literal in key)
        with (self.replica.primary if kind == MISSING else self.secondary).session(SCHEMA) as session:
            row = session.row(f"SELECT n FROM {table} WHERE {condition}")
        return -1 if row is None else int(row[0])

    def pause(self) -> set[int]:
        """Pause the stream; return the numbers of the hot rows that the secondary has."""
        (answer,) = self.replica.run("pause", "--json").document["secondaries"]
        if answer["phase"] != "paused":
            raise Mistake(f"not paused: {answer}")
        return {int(n) for (n,) in self.replica.on_secondary("SELECT n FROM hot")}

    def evidence(self) -> str:
        """Return what the servers do now, and what the commands logged."""
        lines = []
        for server in (self.replica.primary, self.secondary):
            with server.session() as session:
                columns = "id, command, time, state, LEFT(info, 200)"
                rows = session.rows(f"SELECT {columns} FROM information_schema.processlist WHERE command <> 'Sleep'")
            lines += [f"{server.name}: {row}" for row in rows]
        return "\n".join([*lines, self.replica.remarkable()[-3000:]])

    def end(self, stream: Running) -> None:
        """End the stream, apply the rest, and raise AssertionError unless both sides are equal and all is in order."""
        ended: Ended = stream.end(patience_seconds=_LONG_SECONDS, number=15)
        if ended.code:
            raise Mistake(f"the stream exited {ended.code}:\n{ended.stderr[-3000:]}")
        self.replica.catch_up()
        self.replica.assert_equal()
        self.replica.assert_nothing_is_noted()
        if self.replica.saved() < self.replica.primary_end():
            raise Mistake(f"the position is {self.replica.saved()}, the end {self.replica.primary_end()}")


def check(planted: Sequence[Plant], found: tuple[set[Plant], Counter[str]]) -> None:
    """Raise Mistake unless the found differences are the planted ones."""
    keyed = {p for p in planted if p.table != "bare"}
    keyless = Counter[str]()
    for plant in planted:
        if plant.table == "bare":
            # Without a key, a row that differs is one that is missing and one that is extra.
            keyless.update((MISSING, EXTRA) if plant.kind == DIFFERS else (plant.kind,))
    if keyed != found[0] or keyless != found[1]:
        raise Mistake(
            f"not found: {sorted(keyed - found[0])[:9]}\ninvented: {sorted(found[0] - keyed)[:9]}\n"
            f"without a key: planted {keyless}, found {found[1]}"
        )
