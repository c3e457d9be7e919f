from __future__ import annotations

import pytest

from replica_cli.mysql.errnos import Remedy, remedy_of


@pytest.mark.parametrize(
    ("remedy", "numbers"),
    [
        (Remedy.RETRY, (1205, 1213)),
        # Read-only in its four spellings, offline, too many connections, and the ways in which a disk is full.
        (Remedy.WAIT, (1290, 1836, 1792, 1036, 3032, 1040, 1203, 1226, 1021, 1114, 1030, 1026, 3)),
        (Remedy.RECONNECT, (0, 1053, 1180, 1927, 2002, 2003, 2006, 2013, 2055, 3169, 4031)),
        (Remedy.FATAL, (1045, 1064, 1146, 1153, 99999)),
    ],
)
def test_every_condition_has_its_class(remedy: Remedy, numbers: tuple[int, ...]) -> None:
    assert {number: remedy_of(number) for number in numbers} == dict.fromkeys(numbers, remedy)
