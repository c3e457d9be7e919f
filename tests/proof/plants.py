"""Pick differences and make them on the secondary; know what `verify` must name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import Remedy, ServerError
from tests.proof.tables import BORDER, HOT, is_free

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from replica_cli.mysql.session import Session
    from tests.proof.tables import PlantTable

MISSING, EXTRA, DIFFERS = "missing", "extra", "differs"


@dataclass(frozen=True, order=True)
class Plant:
    """One row that differs: `number` is its `n`, `column` the one that differs, empty for other kinds."""

    table: str
    number: int
    kind: str
    column: str = ""


@dataclass(frozen=True)
class Planting:
    """A plant, and the statement that makes it on the secondary."""

    plant: Plant
    statement: str


def pick(tables: Sequence[PlantTable], chance: Random, count: int) -> list[Planting]:
    """Return differences in rows that the writer leaves alone.

    In each table these are the first rows, those around the border of the first chunk, the last ones, and others. Each
    column of each table is at least once the one that differs.
    """
    plantings = []
    for number, table in enumerate(tables):
        share = count // len(tables) + (number < count % len(tables))
        plantings += list(_plantings(table, chance, _numbers(table, chance, share)))
    return plantings


def _numbers(table: PlantTable, chance: Random, share: int) -> list[int]:
    # Rows of a table without a key are there twice, under the smaller number.
    step = 2 if table.key else 4
    possible = range(0, table.row_count, step)
    must = [0, step, possible[-2], possible[-1]]
    border = [n for n in BORDER if n in possible]
    must += chance.sample(border, min(len(border), max(0, share // 2 - len(must))))
    rest = [n for n in possible if n not in set(must)]
    return must + chance.sample(rest, share - len(must))


def _plantings(table: PlantTable, chance: Random, numbers: Sequence[int]) -> Iterator[Planting]:
    changes: list[tuple[str, str]] = []
    for n in numbers:
        if is_free(n):
            yield Planting(Plant(table.name, n, EXTRA), f"INSERT INTO {table.name} VALUES ({table.values(n)})")
        elif chance.random() < 0.2:
            yield Planting(Plant(table.name, n, MISSING), _limited(table, f"DELETE FROM {table.name}", n))
        else:
            changes = changes or chance.sample(table.changes, len(table.changes))
            column, change = changes.pop()
            yield Planting(
                Plant(table.name, n, DIFFERS, column), _limited(table, f"UPDATE {table.name} SET {change}", n)
            )


def _limited(table: PlantTable, words: str, n: int) -> str:
    return f"{words} WHERE {table.where(n)}{'' if table.key else ' LIMIT 1'}"


def pick_hot(present: set[int], chance: Random) -> list[Planting]:
    """Return differences in the hot rows: `present` are the numbers that the secondary has, which does not change."""
    plantings = []
    for n in range(HOT.row_count):
        if n not in present:
            plantings.append(Planting(Plant("hot", n, EXTRA), f"INSERT INTO hot VALUES ({n}, 5, 'planted')"))
        elif chance.random() < 0.3:
            plantings.append(Planting(Plant("hot", n, MISSING), f"DELETE FROM hot WHERE n = {n}"))
        else:
            # What the primary's row was at the position of the secondary is only known as a hash: no column is named.
            _, change = chance.choice(HOT.changes)
            plantings.append(Planting(Plant("hot", n, DIFFERS), f"UPDATE hot SET {change} WHERE n = {n}"))
    return plantings


def make(session: Session, plantings: Sequence[Planting]) -> None:
    """Make differences. The stream may hold a row at that moment."""
    for planting in plantings:
        while True:
            try:
                session.execute(planting.statement)
            except ServerError as error:
                if error.remedy is not Remedy.RETRY:
                    raise
            else:
                break
