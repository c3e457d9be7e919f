from __future__ import annotations

import pytest

from replica_cli.mysql.errnos import Remedy, ServerError, is_of_table, remedy_of


@pytest.mark.parametrize(
    ("remedy", "numbers"),
    [
        (Remedy.RETRY, (1205, 1213, 1467)),
        # Read-only in its four spellings, offline, too many connections, and the ways in which a disk is full.
        (Remedy.WAIT, (1290, 1836, 1792, 1036, 3032, 1040, 1203, 1226, 1021, 1114, 1030, 1026, 3)),
        (Remedy.RECONNECT, (0, 1053, 1180, 1927, 2002, 2003, 2006, 2013, 2055, 3169, 4031)),
        (Remedy.FATAL, (1045, 1064, 1146, 1153, 99999)),
    ],
)
def test_every_condition_has_its_class(remedy: Remedy, numbers: tuple[int, ...]) -> None:
    assert {number: remedy_of(number) for number in numbers} == dict.fromkeys(numbers, remedy)


@pytest.mark.parametrize(
    ("errno", "text", "remedy"),
    [
        (1030, 'Got error 28 "No space left on device" from storage engine InnoDB', Remedy.WAIT),
        (1030, "Got error 28 - 'No space left on device' from storage engine", Remedy.WAIT),
        (1030, "Fehler 135 (Speicher-Engine)", Remedy.WAIT),
        # A row that this release cannot hold, and what is broken.
        (1030, 'Got error 173 "The event could not be processed" from storage engine InnoDB', Remedy.FATAL),
        (1030, "Got error 168 - 'Unknown (generic) error from engine' from storage engine", Remedy.FATAL),
        (3, "Error writing file '/tmp/MLfd=41' (errno: 28 \"No space left on device\")", Remedy.WAIT),
        (1026, "Error writing file 'x' (OS errno 28 - No space left on device)", Remedy.WAIT),
        (1026, "Error writing file './d/t9.MYD' (errno: 27 \"File too large\")", Remedy.FATAL),
        # A quota and a broken disk are every table's.
        (1026, "Error writing file './d/t9.ibd' (errno: 122 \"Disk quota exceeded\")", Remedy.WAIT),
        (3, "Error writing file '/tmp/MLfd=41' (OS errno 122 - Disk quota exceeded)", Remedy.WAIT),
        (1026, "Error writing file './d/t9.ibd' (errno: 5 \"Input/output error\")", Remedy.WAIT),
        (1030, 'Got error 5 "Input/output error" from storage engine InnoDB', Remedy.WAIT),
        # Of an engine it is another error.
        (1030, 'Got error 122 "Internal (unspecified) error in handler" from storage engine InnoDB', Remedy.FATAL),
        (1026, "Error writing file './errno 7/t9.ibd' (errno: 28 \"No space left on device\")", Remedy.WAIT),
        (1026, "Error writing file './errno 28/t9.MYD' (OS errno 27 - File too large)", Remedy.FATAL),
        # Most tables that cannot be made are the statement's fault.
        (1005, 'Can\'t create table `d`.`t` (errno: 135 "No more room in record file")', Remedy.WAIT),
        (1005, "Can't create table 'd.t' (errno: 28 - No space left on device)", Remedy.WAIT),
        (1005, 'Can\'t create table `d`.`t` (errno: 150 "Foreign key constraint is incorrectly formed")', Remedy.FATAL),
        (1005, "Can't create table 'd.t' (errno: 140 - Wrong create options)", Remedy.FATAL),
        (1005, "Can't create table", Remedy.FATAL),
        (1025, "Error on rename of './d/a' to './d/b' (errno: 28 \"No space left on device\")", Remedy.WAIT),
        (1025, "Error on rename of './d/a' to './d/b' (errno: 152 \"Cannot delete a parent row\")", Remedy.FATAL),
        (1290, "The MariaDB server is running with the --read-only option so it cannot", Remedy.WAIT),
        (1290, "The MySQL server is running with the --super-read-only option so", Remedy.WAIT),
        (1290, "The MySQL server is running with the --skip-grant-tables option so", Remedy.FATAL),
    ],
)
def test_an_error_of_many_causes_is_waited_for_if_the_cause_goes_away(errno: int, text: str, remedy: Remedy) -> None:
    assert remedy_of(errno, text) is remedy


@pytest.mark.parametrize(("errno", "text"), [(1036, "Table 't' is read only"), (1030, "Got error 173"), (1265, "cut")])
def test_what_another_attempt_meets_again_belongs_to_the_table(errno: int, text: str) -> None:
    assert is_of_table(ServerError(errno, text, "db1", remedy=remedy_of(errno, text)))
    assert not is_of_table(ServerError(1114, "The table is full", "db1", remedy=remedy_of(1114)))
