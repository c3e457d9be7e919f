"""One run of the command over all tables at once, and the outcome of each table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replica_cli.sandbox.compare import compare
from tests.matrix.families import tables_of
from tests.matrix.hard import quoted
from tests.matrix.pairs import RUNS, engines
from tests.support.command import Ended, Replica

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer
    from tests.matrix.hard import Table
    from tests.matrix.pairs import Run

# MySQL has no NO_LOG.
METADATA = {"mariadb": ("NO_LOG", "MINIMAL", "FULL"), "mysql": ("MINIMAL", "FULL")}
_LAX = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'"
_PATIENCE_SECONDS = 400
_NOT_COMPARED = "it is not compared"
_RESTART = ("--restart", "--all", "--yes")


@dataclass(frozen=True)
class Outcome:
    """What came of one table.

    Attributes:
        kind: equal, refused (the tool named it and stopped it) or different.
        how: why.
        verified: what `replica verify run` says against its being equal; empty if it proves that it is.
        verified_behind: the same before the stream applied the changes: the secondary is right at its position.
    """

    kind: str
    how: str = ""
    verified: str = ""
    verified_behind: str = ""


@dataclass
class Matrix:
    """All runs of one primary: the same rows and changes for each of them."""

    primary: SandboxServer
    server: str
    secondaries: dict[str, SandboxServer]
    schema: str
    folder: Path

    def outcomes(self) -> dict[Run, dict[str, Outcome]]:
        """Copy everything in every run, change it under every row metadata, stream, and compare.

        `replica verify run` compares too: before the stream, when only the log tells what the
        changed rows were, and after.
        """
        runs = [r for r in RUNS if r.primary == self.server and r.secondary in self.secondaries]
        with self.primary.session() as session:
            self._make(session)
            refused = {r.secondary: self._refused(r) for r in runs}
            tools = self._copy(runs, refused)
            self._change(session)
        # Both engines have copied the same rows, so one of them is enough.
        behind = {run.pair: _objections(tool) for run, tool in tools.items() if run.engine == engines(run.pair)[0]}
        streaming = {run: tool.start("stream", "--until-caught-up") for run, tool in tools.items()}
        found = {}
        for run, command in streaming.items():
            ended = command.end(patience_seconds=_PATIENCE_SECONDS)
            judged = self._judge(run, tools[run], refused[run.secondary], ended.stderr)
            verified = _objections(tools[run])
            found[run] = {
                name: replace(
                    outcome,
                    verified=verified.get(name, _without_verdict(name)),
                    verified_behind=behind[run.pair].get(name, _without_verdict(name)),
                )
                for name, outcome in judged.items()
            }
            tools[run].close()
        return found

    def _make(self, session: Session) -> None:
        session.execute(f"CREATE DATABASE `{self.schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        session.execute(f"USE `{self.schema}`")
        session.execute(_LAX)
        for table in tables_of(self.server):
            for statement in (*table.making(), *table.phase(0)):
                _execute(session, table, statement)

    def _copy(self, runs: list[Run], refused: dict[str, dict[str, str]]) -> dict[Run, Replica]:
        """Copy in every run; what fails for its rows is refused too, and all else copied again without it."""
        tools: dict[Run, Replica] = {}
        while waiting := [run for run in runs if run not in tools]:
            started = {run: self._tool(run, refused[run.secondary]) for run in waiting}
            commands = {run: tool.start("transfer", *_RESTART, "--json") for run, tool in started.items()}
            known = {run: set(refused[run.secondary]) for run in waiting}
            for run, command in commands.items():
                ended = command.end(patience_seconds=_PATIENCE_SECONDS)
                if ended.code == 0:
                    tools[run] = started[run]
                else:
                    refused[run.secondary] |= self._named(ended, known[run])
        return tools

    def _change(self, session: Session) -> None:
        ((before,),) = session.rows("SELECT @@GLOBAL.binlog_row_metadata")
        try:
            for number, metadata in enumerate(METADATA[self.server.partition(":")[0]], 1):
                session.execute(f"SET GLOBAL binlog_row_metadata = {metadata}")
                for table in tables_of(self.server):
                    session.begin()
                    for statement in table.phase(number):
                        _execute(session, table, statement)
                    session.commit()
        finally:
            session.execute(f"SET GLOBAL binlog_row_metadata = {before}")

    def _tool(self, run: Run, refused: dict[str, str]) -> Replica:
        target = f"{self.schema}_{run.engine.replace('-', '_')}"
        folder = self.folder / f"{run.secondary}-{run.engine}".replace(":", "-")
        folder.mkdir(exist_ok=True)
        number = RUNS.index(run)
        settings = {
            "REPLICA_SCHEMAS": f"{self.schema}:{target}",
            "REPLICA_ENGINE": run.engine if run.engine == "sql" else "auto",
            "REPLICA_EXCLUDE_TABLES": ",".join(_pattern(f"{self.schema}.{name}") for name in refused),
            "REPLICA_PROGRESS": "off",
            "REPLICA_TABLE_FAILURES": "1",
            "MARIA_SERVER_ID": str(7000 + 10 * number),
        }
        secondary = {f"db{number}": self.secondaries[run.secondary]}
        return Replica(self.primary, secondary, self.schema, f"{target}_state", folder, settings)

    def _refused(self, run: Run) -> dict[str, str]:
        """Return the tables that the tool will not copy, by name, in its own words."""
        found: dict[str, str] = {}
        while True:
            tool = self._tool(run, found)
            ended = tool.start("transfer", "--dry-run", "--json").end(patience_seconds=_PATIENCE_SECONDS)
            if ended.code == 0:
                return found
            found |= self._named(ended, found)

    def _named(self, ended: Ended, known: Container[str]) -> dict[str, str]:
        """Return the tables that an error names, each with what is said of it."""
        message = str(ended.error["message"])
        places = {t.name: message.find(f"{self.schema}.{t.name}: ") for t in tables_of(self.server)}
        new = {name: at for name, at in places.items() if at >= 0 and name not in known}
        assert new, ended.stderr
        found = {}
        for name, at in new.items():
            end = min((s for s in new.values() if s > at), default=len(message))
            found[name] = message[at:end].replace(f"{self.schema}.{name}: ", "").rstrip("; ")
        return found

    def _has_equal_documents(self, run: Run, target: str, table: Table) -> bool:
        """Compare what is in documents on MySQL by its types: a date and its text read the same."""
        if run.primary != run.secondary or not run.primary.startswith("mysql"):
            return True
        with self.primary.session() as on_primary, self.secondaries[run.secondary].session() as on_secondary:
            return _types(on_primary, self.schema, table.name) == _types(on_secondary, target, table.name)

    def _judge(self, run: Run, tool: Replica, refused: dict[str, str], stderr: str) -> dict[str, Outcome]:
        target = f"{self.schema}_{run.engine.replace('-', '_')}"
        shown = tool.run("position", "show", "--json", patience_seconds=_PATIENCE_SECONDS).document
        (secondary,) = shown["secondaries"]
        quarantined = {t["table"]: t["reason"] for t in secondary["tables"]}
        results = compare(self.primary.address(), self.secondaries[run.secondary].address(), self.schema, target)
        compared = {r.table: r for r in results}
        found = {}
        for table in tables_of(self.server):
            result = compared[table.name]
            if table.name in refused:
                found[table.name] = Outcome("refused", f"copy: {refused[table.name]}")
            elif (name := f"{self.schema}.{table.name}") in quarantined:
                found[table.name] = Outcome("refused", f"stream: {quarantined[name]}")
            elif result.is_equal and (result.rows_a or 0) > 0 and self._has_equal_documents(run, target, table):
                found[table.name] = Outcome("equal")
            else:
                found[table.name] = Outcome("different", f"{result.detail}\n{stderr[-1500:]}")
        return found


def _without_verdict(name: str) -> str:
    # Sequences have no rows, and are left out.
    return "" if name == "sequence" else _NOT_COMPARED


def _objections(tool: Replica) -> dict[str, str]:
    """Run `replica verify run`; return by table what speaks against its being equal, empty if it is proven to be."""
    ended = tool.start("verify", "run", "--json", "--restart", "--max-differences", "0", "--workers", "4").end(
        patience_seconds=_PATIENCE_SECONDS
    )
    assert ended.stdout, ended.stderr
    summary = ended.lines[-1]
    (secondary,) = summary["secondaries"]
    assert secondary["error"] is None, secondary["error"]
    columns: dict[str, Counter[str]] = {}
    for line in ended.lines:
        if line["type"] == "difference":
            columns.setdefault(line["table"], Counter()).update(line["columns"])
    return {
        t["table"].partition(".")[2]: _objection(t, columns.get(t["table"], Counter())) for t in secondary["tables"]
    }


def _objection(verdict: dict[str, Any], columns: Counter[str]) -> str:
    if verdict["undecided"]:
        return f"not decided: {verdict['undecided']}"
    if verdict["is_equal"] and verdict["rows"]:
        return ""
    counts = ", ".join(f"{verdict[kind]} {kind}" for kind in ("missing", "extra", "differs"))
    return f"{verdict['rows']} rows, {counts}, by column {dict(columns)}"


def _types(session: Session, schema: str, table: str) -> Counter[tuple[object, ...]]:
    columns = session.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND data_type = 'json'", schema, table,
    )  # fmt: skip
    found: Counter[tuple[object, ...]] = Counter()
    for (name,) in columns:
        named, place = quoted(str(name)), f"{quoted(schema)}.{quoted(table)}"
        inner = f"JSON_TABLE(JSON_EXTRACT({named}, '$**.*', '$**[*]'), '$[*]' COLUMNS (v JSON PATH '$')) AS x"
        whole = f"SELECT JSON_TYPE({named}), SHA2(CAST({named} AS CHAR), 256) FROM {place}"
        parts = f"SELECT JSON_TYPE(x.v), SHA2(CAST(x.v AS CHAR), 256) FROM {place}, {inner}"
        found.update(session.rows(f"{whole} UNION ALL {parts}"))
    return found


def _execute(session: Session, table: Table, statement: str) -> None:
    try:
        session.execute(statement)
    except Exception as error:
        error.add_note(f"{table.name}: {statement[:300]}")
        raise


def _pattern(name: str) -> str:
    # A comma or a bracket of a name would end or change the pattern.
    return re.sub(r"[^\w.]", "?", name)
