"""Sequences of MariaDB: copied with their state, and followed by the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Replica

STATE = (
    "next_not_cached_value, minimum_value, maximum_value, start_value, increment, cache_size, cycle_option, cycle_count"
)
MADE = (
    "CREATE SEQUENCE plain",
    "CREATE SEQUENCE down START 100 INCREMENT -3 MINVALUE -50 MAXVALUE 200 CACHE 7",
    "CREATE SEQUENCE round MAXVALUE 3 CYCLE NOCACHE",
    "CREATE SEQUENCE isam START 20 CACHE 4 ENGINE=MyISAM",
    "CREATE SEQUENCE `od``d` START 5",
    "CREATE SEQUENCE set_far",
    "CREATE SEQUENCE spent MAXVALUE 2 NOCACHE",
    # Its name comes before the sequence's in every order of names.
    "CREATE TABLE a_table (id INT PRIMARY KEY DEFAULT NEXTVAL(plain), n INT)",
    "INSERT INTO a_table (n) VALUES (1), (2), (3)",
)
MOVED = (
    "DO NEXTVAL(down)",
    *["DO NEXTVAL(round)"] * 5,
    "DO NEXTVAL(isam)",
    "DO SETVAL(set_far, 4000000000)",
    "DO NEXTVAL(spent)",
    "DO NEXTVAL(spent)",
)
FOLLOWED = (
    *["DO NEXTVAL(round)"] * 2,
    "DO SETVAL(plain, 5000)",
    "INSERT INTO a_table (n) VALUES (4), (5)",
    "ALTER SEQUENCE down INCREMENT -5 CACHE 2",
    "DO NEXTVAL(down)",
    "ALTER SEQUENCE isam RESTART 7",
    "RENAME TABLE set_far TO set_farther",
    "DO SETVAL(set_farther, 4000000001)",
    "ALTER TABLE `od``d` RENAME TO even",
    "DO NEXTVAL(even)",
    "CREATE SEQUENCE young START 3 ENGINE=MyISAM",
    "DO NEXTVAL(young)",
    "CREATE TABLE b_table (id INT PRIMARY KEY, n INT DEFAULT (NEXTVAL(young)))",
    "INSERT INTO b_table (id) VALUES (1)",
    "CREATE OR REPLACE SEQUENCE spent START 9",
    "CREATE SEQUENCE IF NOT EXISTS young",
    "CREATE SEQUENCE gone",
    "DROP SEQUENCE gone",
)


def defined(replica: Replica, name: str) -> tuple[object, object]:
    """Return how both sides show a sequence, without the engine, which is always InnoDB on the secondary."""
    with replica.primary.session(replica.schema) as session:
        ((_, of_primary),) = session.rows(f"SHOW CREATE SEQUENCE `{name}`")
    ((_, of_secondary),) = replica.on_secondary(f"SHOW CREATE SEQUENCE `{name}`")
    return str(of_primary).replace("=MyISAM", "=InnoDB"), str(of_secondary)


def assert_same_sequences(replica: Replica, *names: str) -> None:
    for name in names:
        sql = f"SELECT {STATE} FROM `{name.replace('`', '``')}`"
        with replica.primary.session(replica.schema) as session:
            of_primary = session.rows(sql)
        assert of_primary == replica.on_secondary(sql), name
        one, other = defined(replica, name.replace("`", "``"))
        assert one == other


@pytest.mark.every_flavour
@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("engine", ["auto", "sql"])
def test_sequences_are_copied_with_their_state_and_followed(replica: Replica, engine: str) -> None:
    replica.settings |= {"REPLICA_ENGINE": engine}
    replica.on_primary(*MADE)
    for statement in MOVED:
        replica.on_primary(statement)
    replica.run("transfer")
    names = ["plain", "down", "round", "isam", "od`d", "set_far", "spent"]
    assert_same_sequences(replica, *names)
    replica.assert_equal()
    for statement in FOLLOWED:
        replica.on_primary(statement)
    ended = replica.catch_up()
    assert "copied again" not in ended.stderr
    assert_same_sequences(replica, "plain", "down", "round", "isam", "even", "set_farther", "spent", "young")
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    assert replica.on_secondary("SHOW TABLES LIKE 'gone'") == []
    # The next value that an application takes after a switch is one that the primary did not give.
    replica.run("drift", "check")
    ((given,),) = replica.on_secondary("SELECT NEXTVAL(plain)")
    with replica.primary.session(replica.schema) as session:
        assert given > max(row[0] for row in session.rows("SELECT id FROM a_table"))


@pytest.mark.every_flavour
@pytest.mark.servers("mariadb", "11.8")
def test_sequences_of_other_types_than_bigint(replica: Replica) -> None:
    replica.on_primary("CREATE SEQUENCE small AS SMALLINT UNSIGNED START 3 CACHE 2", "DO NEXTVAL(small)")
    replica.run("transfer")
    replica.on_primary("DO NEXTVAL(small)", "CREATE SEQUENCE tiny AS TINYINT CACHE 3", "DO NEXTVAL(tiny)")
    replica.on_primary("DO NEXTVAL(small)", "ALTER SEQUENCE tiny INCREMENT 2", "DO NEXTVAL(tiny)")
    replica.catch_up()
    assert_same_sequences(replica, "small", "tiny")
    replica.assert_nothing_is_noted()


@pytest.mark.servers("mariadb")
def test_a_sequence_that_is_re_synced_ends_in_the_primarys_state(replica: Replica) -> None:
    replica.on_primary("CREATE SEQUENCE s CACHE 3", "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    replica.run("transfer")
    replica.on_primary("DO SETVAL(s, 50)", "ALTER TABLE t ADD COLUMN n INT DEFAULT (NEXTVAL(s))", "DO NEXTVAL(s)")
    replica.catch_up()
    assert_same_sequences(replica, "s")
    replica.assert_equal()
    replica.assert_nothing_is_noted()
    # By hand, under load.
    stream = replica.stream()
    replica.on_primary(*["DO NEXTVAL(s)"] * 20)
    replica.run("transfer", "--secondary", "db1", "--table", f"{replica.schema}.s", "--yes")
    replica.on_primary(*["DO NEXTVAL(s)"] * 20, "ALTER SEQUENCE s INCREMENT 4")
    replica.wait_until_applied(stream)
    assert stream.end(15).code == 0
    assert_same_sequences(replica, "s")
    replica.assert_nothing_is_noted()
