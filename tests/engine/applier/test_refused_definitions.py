"""Definitions that the secondary refuses: their tables are copied as they are now, or quarantined."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.status import TableState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.applier.harness import Harness


@pytest.fixture
def followed(harness: Harness) -> Iterator[Harness]:
    """Give a harness whose stream has followed two tables; afterwards it must have followed `last` to its end."""
    harness.settings = replace(harness.settings, apply=replace(harness.settings.apply, table_failures=2))
    harness.begin_here()
    harness.on_primary(
        "CREATE TABLE t (a INT, b INT, PRIMARY KEY (a, b)) ENGINE=MyISAM",
        "INSERT INTO t VALUES (1, 1)",
        "CREATE TABLE last (id INT PRIMARY KEY)",
    )
    harness.follow()
    yield harness
    harness.on_primary("INSERT INTO last VALUES (1)")
    harness.follow()
    assert harness.rows("SELECT id FROM last") == [(1,)]


def set_aside(harness: Harness) -> dict[str, str]:
    """Return the reasons of the quarantined tables; there must be no other record."""
    records = harness.tables.load().values()
    assert {r.state for r in records} <= {TableState.QUARANTINED}
    return {r.name.table: r.reason for r in records}


@pytest.mark.parametrize("made", ["create", "alter"])
def test_a_counter_that_innodb_cannot_keep_sets_its_table_aside(followed: Harness, made: str) -> None:
    table = "(a INT, b INT AUTO_INCREMENT, PRIMARY KEY (a, b)) ENGINE=MyISAM"
    statement = f"CREATE TABLE c {table}" if made == "create" else "ALTER TABLE t MODIFY b INT AUTO_INCREMENT"
    followed.on_primary(statement, f"INSERT INTO {'c' if made == 'create' else 't'} VALUES (1, 2)")
    followed.follow()
    ((name, reason),) = set_aside(followed).items()
    assert name == ("c" if made == "create" else "t")
    # That a key is missing may also be somebody's doing on the secondary, which a copy would hide.
    expected = "InnoDB needs an index that begins with the AUTO_INCREMENT column" if made == "create" else "error 1075"
    assert expected in reason


# 40 such columns are wider than a row of InnoDB may be.
WIDE = [f"c{n} CHAR(255) CHARACTER SET latin1 NOT NULL" for n in range(40)]
NARROW = ["id INT PRIMARY KEY", "c CHAR(9)"]


def stream_odd(harness: Harness, columns: list[str], engine: str, form: str, made: str) -> None:
    """Let the primary make or alter a table of another engine, and stream it; it must be kept if InnoDB can have it."""
    if made == "create":
        statements = [f"CREATE TABLE odd ({', '.join(columns)}) ENGINE={engine} {form}"]
    else:
        changes = [f"ADD COLUMN {column}" for column in columns[1:]]
        changes += [form] if form else []
        statements = [f"CREATE TABLE odd ({columns[0]}) ENGINE={engine}", f"ALTER TABLE odd {', '.join(changes)}"]
    harness.on_primary(*statements, f"INSERT INTO odd VALUES ({', '.join(['1'] * len(columns))})")
    harness.follow()
    can_be_kept = columns == NARROW
    assert set_aside(harness).keys() == (set() if can_be_kept else {"odd"})
    if can_be_kept:
        harness.assert_equal()


@pytest.mark.parametrize("made", ["create", "alter"])
@pytest.mark.parametrize(("columns", "form"), [(NARROW, "ROW_FORMAT=FIXED"), (WIDE, "")], ids=["fixed", "wide"])
def test_what_only_myisam_takes_is_a_matter_of_its_table(
    followed: Harness, columns: list[str], form: str, made: str
) -> None:
    stream_odd(followed, columns, "MyISAM", form, made)


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("made", ["create", "alter"])
@pytest.mark.parametrize(("columns", "form"), [(NARROW, "ROW_FORMAT=PAGE"), (WIDE, "")], ids=["page", "wide"])
def test_what_only_aria_takes_is_a_matter_of_its_table(
    followed: Harness, columns: list[str], form: str, made: str
) -> None:
    stream_odd(followed, columns, "Aria", form, made)


@pytest.mark.servers("mariadb", "11.8")
@pytest.mark.parametrize("statement", ["CREATE VECTOR INDEX by_v ON made (v)", "ALTER TABLE made ADD VECTOR INDEX (v)"])
def test_a_vector_index_of_the_primary_is_made(followed: Harness, statement: str) -> None:
    followed.on_primary(
        "CREATE TABLE made (id INT PRIMARY KEY, v VECTOR(2) NOT NULL)",
        "INSERT INTO made VALUES (1, VEC_FromText('[1, 2]'))",
        statement,
        "INSERT INTO made VALUES (2, VEC_FromText('[3, 4]'))",
    )
    followed.follow()
    assert set_aside(followed) == {}
    followed.assert_equal()
    assert "VECTOR KEY" in str(followed.rows("SHOW CREATE TABLE made")[0][1])


@pytest.mark.servers("mysql")
def test_a_tablespace_of_the_primary_is_left_out(followed: Harness) -> None:
    space = f"{followed.schema}_s"
    followed.on_primary(f"CREATE TABLESPACE {space} ADD DATAFILE '{space}.ibd'")
    try:
        followed.on_primary(
            f"CREATE TABLE made (id INT PRIMARY KEY) TABLESPACE {space}",
            "INSERT INTO made VALUES (1)",
            f"ALTER TABLE last TABLESPACE {space}",
        )
        followed.follow()
        assert set_aside(followed) == {}
        followed.assert_equal()
    finally:
        followed.on_primary("DROP TABLE IF EXISTS made", "ALTER TABLE last TABLESPACE innodb_file_per_table")
        followed.on_primary(f"DROP TABLESPACE {space}")


def test_a_table_that_only_the_secondary_has_is_never_replaced(followed: Harness) -> None:
    followed.on_secondary("CREATE TABLE stranger (id INT PRIMARY KEY)", "INSERT INTO stranger VALUES (77)")
    followed.on_primary("CREATE TABLE stranger (id INT PRIMARY KEY)", "INSERT INTO stranger VALUES (1)")
    followed.follow()
    assert "error 1050" in set_aside(followed)["stranger"]
    assert followed.rows("SELECT id FROM stranger") == [(77,)]
    # Also not by what the primary gives the name to later.
    again = "DROP TABLE IF EXISTS moved" if not followed.is_mariadb else "CREATE OR REPLACE TABLE stranger (n INT)"
    followed.on_primary(again, "RENAME TABLE stranger TO moved", "CREATE TABLE stranger (id INT PRIMARY KEY)")
    followed.on_primary("INSERT INTO stranger VALUES (2)")
    followed.follow()
    assert "error 1050" in set_aside(followed)["stranger"]
    assert followed.rows("SELECT id FROM stranger") == [(77,)]


@pytest.mark.parametrize("rename", ["RENAME TABLE t TO stranger", "ALTER TABLE t RENAME TO stranger"])
def test_a_table_of_the_secondary_that_a_rename_meets_is_never_replaced(followed: Harness, rename: str) -> None:
    followed.on_secondary("CREATE TABLE stranger (id INT PRIMARY KEY)", "INSERT INTO stranger VALUES (77)")
    followed.on_primary(rename)
    followed.follow()
    assert set_aside(followed).keys() == {"t", "stranger"}
    followed.on_primary("RENAME TABLE stranger TO moved", "CREATE TABLE stranger (id INT PRIMARY KEY)")
    followed.follow()
    assert set_aside(followed).keys() == {"t", "stranger", "moved"}
    assert followed.rows("SELECT id FROM stranger") == [(77,)]
    # The table that could not be renamed was the primary's: a new one of its name takes its place.
    followed.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (3)")
    followed.follow()
    assert set_aside(followed).keys() == {"stranger", "moved"}
    assert followed.rows("SELECT id FROM t") == [(3,)]


# What somebody did on the secondary, what the primary does, and the error.
TAMPERED = {
    "t0": ("ADD n VARCHAR(10)", "ALTER TABLE t0 ADD n INT", 1060),
    "t1": ("ADD PRIMARY KEY (b)", "ALTER TABLE t1 ADD PRIMARY KEY (a)", 1068),
    "t2": ("DROP b", "CREATE INDEX i ON t2 (b)", 1072),
    "t3": ("DROP b", "ALTER TABLE t3 DROP CONSTRAINT positive_3, DROP b", 1091),
    "t4": ("ADD KEY (b)", "ALTER TABLE t4 MODIFY a INT AUTO_INCREMENT", 1075),
}


def test_tables_that_somebody_altered_are_set_aside_and_not_copied(followed: Harness) -> None:
    for number, name in enumerate(TAMPERED):
        # Neither a counter nor a column that is dropped may be checked.
        checked, key = ("b", ", KEY (a)") if name == "t4" else ("a", "")
        check = f"CONSTRAINT positive_{number} CHECK ({checked} > 0)"
        followed.on_primary(f"CREATE TABLE {name} (a INT, b INT, {check}{key})")
    followed.follow()
    followed.on_secondary("ALTER TABLE t4 DROP KEY a")
    followed.on_secondary(*(f"ALTER TABLE {name} {change}" for name, (change, _, _) in TAMPERED.items()))
    followed.on_primary(*(statement for _, statement, _ in TAMPERED.values()))
    followed.follow()
    reasons = set_aside(followed)
    for name, (_, _, errno) in TAMPERED.items():
        assert f"error {errno}" in reasons[name]


def test_how_the_primary_altered_a_table_does_not_matter(followed: Harness, caplog: pytest.LogCaptureFixture) -> None:
    followed.on_primary("CREATE TABLE wide (id INT PRIMARY KEY, s VARCHAR(100))")
    followed.follow()
    # A table of this format takes no column at once.
    followed.on_secondary("ALTER TABLE wide ROW_FORMAT=COMPRESSED")
    followed.on_primary(
        "ALTER TABLE wide ADD n INT, ALGORITHM=INSTANT",
        "CREATE INDEX by_n ON wide (n) ALGORITHM=INPLACE LOCK=NONE",
        "ALTER TABLE wide LOCK=DEFAULT",
        *(("ALTER ONLINE TABLE wide RENAME COLUMN s TO word",) if followed.is_mariadb else ()),
        "INSERT INTO wide VALUES (1, 'x', 1)",
    )
    followed.follow()
    assert set_aside(followed) == {}
    assert "copied again" not in caplog.text
    assert followed.rows("SELECT id, n FROM wide") == [(1, 1)]


def test_a_copy_that_is_refused_as_well_sets_the_table_aside(followed: Harness) -> None:
    # The name of a foreign key is taken, by a table that the filters leave out. Tables with foreign keys are copied
    # while the stream waits: that copy must not end it.
    selection = replace(followed.settings.selection, excluded_tables=(f"{followed.schema}.out_*",))
    followed.settings = replace(followed.settings, selection=selection)
    followed.begin_here()
    followed.on_secondary(
        "CREATE TABLE out_up (id INT PRIMARY KEY)",
        "CREATE TABLE out_child (id INT PRIMARY KEY, CONSTRAINT fk_of_both FOREIGN KEY (id) REFERENCES out_up (id))",
    )
    followed.on_primary(
        "CREATE TABLE up (id INT PRIMARY KEY)",
        "INSERT INTO up VALUES (1)",
        "CREATE TABLE child (id INT PRIMARY KEY, CONSTRAINT fk_of_both FOREIGN KEY (id) REFERENCES up (id))",
        "INSERT INTO child VALUES (1)",
    )
    followed.follow()
    reasons = set_aside(followed)
    assert reasons.keys() == {"child"}
    # MariaDB's number, MySQL's.
    assert re.search(r"\(error (1823|1826)\)", reasons["child"])
    assert followed.rows("SELECT id FROM up") == [(1,)]
