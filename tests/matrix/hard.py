"""Hard values as data, and the statements that put them into tables, change them and take them away.

A family is a row of the coverage table. Each of its `Values` becomes up to three tables: rows found by a number, rows
found by the values themselves, rows without any key (each there twice).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Rows = tuple[tuple[str, ...], ...]
# Phases are told apart by their numbers: 0 is copied, the others are streamed.
PHASE = 1000
_MOVED = 500
_KEPT = 200
_KEY_COLUMNS = 12


@dataclass(frozen=True)
class Table:
    """One table; `{t}` is replaced by its quoted name, `{b}` by the phase's first number."""

    name: str
    create: str
    inserts: tuple[str, ...]
    changes: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        return quoted(self.name)

    def making(self) -> Iterator[str]:
        yield from self.before
        yield self.create.replace("{t}", self.quoted)
        yield from self.after

    def phase(self, number: int) -> Iterator[str]:
        """Yield what happens in a phase: rows come, rows of the phase before change, some move, some go."""
        for statement in (*self.inserts, *(self.changes if number else ())):
            text = statement.replace("{t}", self.quoted).replace("{b}", str(number * PHASE))
            yield text.replace("{p}", str((number - 1) * PHASE))


@dataclass(frozen=True)
class Values:
    """Columns and rows of SQL expressions. `keys`: the values can be a key; `bare`: also a table without a key."""

    name: str
    columns: tuple[str, ...]
    rows: Rows
    servers: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    keys: bool = True
    bare: bool = True

    def tables(self) -> Iterator[Table]:
        names = [f"c{i}" for i in range(len(self.columns))]
        typed = [f"{n} {t}" for n, t in zip(names, self.columns, strict=True)]
        by_id = "WHERE id = {{p}} + {i}"
        yield self._table(self.name, ["id INT PRIMARY KEY", *typed], names, by_id, rows=self.rows)
        if self.keys:
            whole = tuple(r for r in self.rows if not any(v == "NULL" for v in r[:_KEY_COLUMNS]))
            key = f"PRIMARY KEY ({', '.join(names[:_KEY_COLUMNS])}, id)"
            # What is part of a primary key cannot be NULL, and MySQL does not overlook the word.
            strict = [t.removesuffix(" NULL") for t in typed]
            yield self._table(f"{self.name}_key", ["id INT", *strict, key], names, by_id, rows=whole)
        if self.bare:
            yield self._table(
                f"{self.name}_bare", ["id INT", *typed], names, f"{by_id} LIMIT 1", rows=self.rows, times=2
            )

    def _table(self, name: str, parts: list[str], names: list[str], where: str, *, rows: Rows, times: int = 1) -> Table:
        # Each row twice: one is changed in the next phase, the other stays as it came.
        numbered = [(base + i, row) for base in (0, _KEPT) for i, row in enumerate(rows, 1)]
        lines = [f"({{b}} + {i}, {', '.join(row)})" for i, row in numbered for _ in range(times)]
        changes = []
        for i, _ in enumerate(rows, 1):
            following = rows[i % len(rows)]
            sets = ", ".join(f"{n} = {v}" for n, v in zip(names, following, strict=True))
            changes.append(f"UPDATE {{t}} SET {sets} {where.format(i=i)}")
        limit = " LIMIT 1" if times > 1 else ""
        changes.append(f"UPDATE {{t}} SET id = id + {_MOVED} WHERE id = {{b}} + 1{limit}")
        changes.append(f"DELETE FROM {{t}} WHERE id = {{b}} + {min(2, len(rows))}{limit}")
        return Table(
            name, f"CREATE TABLE {{t}} ({', '.join(parts)})", (f"INSERT INTO {{t}} VALUES {', '.join(lines)}",),
            tuple(changes), self.servers, self.before, self.after,
        )  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A row of the coverage table."""

    name: str
    values: tuple[Values, ...] = ()
    others: tuple[Table, ...] = field(default=())

    def tables(self, server: str) -> Iterator[Table]:
        """Yield the tables that a primary of this kind can hold."""
        for table in (*(t for v in self.values for t in v.tables()), *self.others):
            if not table.servers or server in table.servers:
                yield table


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def each(columns: tuple[str, ...], *values: str) -> tuple[tuple[str, ...], ...]:
    """Return rows with the same value in every column."""
    return tuple((value,) * len(columns) for value in values)


MARIADB = ("mariadb:10.11", "mariadb:11.8")
MYSQL = ("mysql:9.7",)
