"""`replica verify run` sees each difference that SQL equality hides, and none in what servers only show differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import Replica

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from replica_cli.sandbox.binaries import ServerBinary
    from replica_cli.sandbox.server import SandboxServer
    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.every_flavour

_CI = "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"


@dataclass(frozen=True)
class Hidden:
    """A value of a type, and another one that SQL takes for the same, or nearly the same."""

    name: str
    type: str
    value: str
    other: str
    flavour: str = ""

    @property
    def steps(self) -> tuple[str, str]:
        """Return what the column is set to, one after the other: MySQL does not write 1.0 over a document of 1."""
        return ("NULL", self.other)


_HIDDEN = (
    Hidden("blank", f"VARCHAR(9) {_CI}", "'a'", "'a '"),
    Hidden("letter_case", f"VARCHAR(9) {_CI}", "'a'", "'A'"),
    Hidden("accent", f"CHAR(9) {_CI}", "'e'", "'é'"),
    Hidden("long_blank", f"TEXT {_CI}", "'a'", "'a '"),
    Hidden("long_case", f"MEDIUMTEXT {_CI}", "'a'", "'A'"),
    Hidden("no_text", "VARCHAR(9)", "NULL", "''"),
    Hidden("no_long_text", "TEXT", "NULL", "''"),
    Hidden("no_bytes", "VARBINARY(9)", "NULL", "''"),
    Hidden("dash", "VARCHAR(9)", "NULL", "'-'"),
    Hidden("no_number", "INT", "NULL", "0"),
    Hidden("no_day", "DATE", "NULL", "'0000-00-00'"),
    Hidden("zero_byte", "VARBINARY(9)", "x'61'", "x'6100'"),
    # MariaDB stores 0 in its place.
    Hidden("sign_of_zero", "DOUBLE", "0", "-0e0", "mysql"),
    Hidden("last_bit", "DOUBLE", "0.3e0", "0.1e0 + 0.2e0"),
    Hidden("last_bit_of_a_float", "FLOAT", "0.1", "0.10000000894069672e0"),
    Hidden("last_bit_of_a_small_one", "FLOAT", "1e-10", "1.00000006e-10"),
    Hidden("error_of_an_enum", "ENUM('', 'a')", "''", "'none'"),
    Hidden("microsecond", "DATETIME(6)", "'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"),
    Hidden("microsecond_of_a_time", "TIME(6)", "'-00:00:01'", "'-00:00:01.000001'"),
    Hidden("microsecond_of_a_moment", "TIMESTAMP(6) NULL", "'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.000001'"),
    Hidden("undefined_byte", "VARCHAR(9) CHARACTER SET cp1250", "x'81'", "x'83'"),
    Hidden("undefined_byte_of_another_charset", "VARCHAR(9) CHARACTER SET cp1257", "x'81'", "x'83'"),
    Hidden("half_character", "VARCHAR(9) CHARACTER SET ucs2", "x'D800'", "x'D801'"),
    Hidden("bit", "BIT(64)", "18446744073709551615", "18446744073709551614"),
    Hidden("last_digit", "DECIMAL(65,30)", "0", "0.000000000000000000000000000001"),
    Hidden("white_space", "JSON", """'{"a":1}'""", """'{"a": 1}'""", "mariadb"),
    Hidden("order_of_keys", "JSON", """'{"a":1,"b":2}'""", """'{"b":2,"a":1}'""", "mariadb"),
    Hidden("kind_of_number", "JSON", "'1'", "'1.0'", "mysql"),
)


def _hidden(replica: Replica) -> list[Hidden]:
    with replica.primary.session() as session:
        flavour = "mariadb" if session.is_mariadb else "mysql"
    return [h for h in _HIDDEN if h.flavour in ("", flavour)]


def _differences(replica: Replica) -> list[Any]:
    lines = replica.run("verify", "run", "--json", code=3).lines
    return [line for line in lines if line["type"] == "difference"]


def _plant(replica: Replica, statements: Iterable[str]) -> None:
    with replica.secondaries["db1"].session(replica.schema) as session:
        # Else the error value of an ENUM and the zero day are refused.
        session.execute("SET SESSION sql_mode = ''")
        for statement in statements:
            session.execute(statement)


def test_each_hidden_difference_is_named_with_its_column(replica: Replica) -> None:
    hidden = _hidden(replica)
    columns = ", ".join(f"{h.name} {h.type}" for h in hidden)
    row = ", ".join(h.value for h in hidden)
    rows = ", ".join(f"({number}, {row})" for number in range(len(hidden) + 1))
    # One table, so that a row has text of many charsets.
    replica.on_primary(f"CREATE TABLE mixed (id INT PRIMARY KEY, {columns})", f"INSERT INTO mixed VALUES {rows}")
    replica.run("transfer")
    replica.run("verify", "run")
    _plant(replica, (f"UPDATE mixed SET {h.name} = {v} WHERE id = {n}" for n, h in enumerate(hidden) for v in h.steps))
    found = {d["key"]["id"]: (d["kind"], d["columns"]) for d in _differences(replica)}
    assert found == {str(n): ("differs", [h.name]) for n, h in enumerate(hidden)}


def test_each_hidden_difference_is_found_without_a_key(replica: Replica) -> None:
    hidden = _hidden(replica)
    for h in hidden:
        replica.on_primary(
            f"CREATE TABLE {h.name} (c {h.type})", f"INSERT INTO {h.name} VALUES ({h.value}), ({h.value})"
        )
    replica.run("transfer")
    replica.run("verify", "run")
    _plant(replica, (f"UPDATE {h.name} SET c = {v} LIMIT 1" for h in hidden for v in h.steps))
    found = sorted((d["table"].partition(".")[2], d["kind"], d["rows"]) for d in _differences(replica))
    assert found == sorted((h.name, kind, 1) for h in hidden for kind in ("missing", "extra"))


_PRIMARY = {
    "sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
    "time_zone": "'+09:00'",
    "div_precision_increment": "9",
    "character_set_server": "latin1",
    "collation_connection": "latin1_swedish_ci",
    "lc_time_names": "'de_DE'",
    "group_concat_max_len": "4",
}
_SECONDARY = {
    "sql_mode": "'REAL_AS_FLOAT,HIGH_NOT_PRECEDENCE,ALLOW_INVALID_DATES'",
    "time_zone": "'-05:00'",
    "div_precision_increment": "0",
    "character_set_server": "utf8mb4",
    "max_sort_length": "64",
}


def _set_globals(server: SandboxServer, values: dict[str, str]) -> None:
    with server.session() as session:
        for name, value in values.items():
            session.execute(f"SET GLOBAL {name} = {value}")


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "only in the log"])
def test_other_settings_of_the_servers_make_no_difference(
    server_factory: ServerFactory,
    server_binary: ServerBinary,
    schema: str,
    state_schema: str,
    tmp_path: Path,
    *,
    is_applied: bool,
) -> None:
    flavour, _, version = str(server_binary).partition(":")
    servers = [server_factory(flavour, version) for _ in range(2)]
    replica = Replica(servers[0], {"db1": servers[1]}, schema, state_schema, tmp_path)
    hidden = _hidden(replica)
    columns = ", ".join(f"{h.name} {h.type}" for h in hidden)
    values, others = (", ".join(parts) for parts in ((h.value for h in hidden), (h.other for h in hidden)))
    extra = "moment TIMESTAMP NULL, padded CHAR(20), quoted VARCHAR(20), year_ YEAR"
    extra_row = "'2024-07-01 12:00:00', 'a', CONCAT(CHAR(92), CHAR(34), CHAR(39)), 2024"
    try:
        for name, key in (("keyed", "id INT PRIMARY KEY"), ("bare", "id INT")):
            replica.on_primary(
                f"CREATE TABLE {name} ({key}, {extra}, {columns})",
                f"INSERT INTO {name} VALUES (1, {extra_row}, {values}), (2, {extra_row}, {values})",
            )
        _set_globals(servers[0], _PRIMARY)
        _set_globals(servers[1], _SECONDARY)
        replica.run("transfer")
        changes = ", ".join(f"{h.name} = {h.other}" for h in hidden)
        # No statement comes into the log: after one it would be unknown what it has changed.
        with servers[0].session(schema) as session:
            session.execute("SET SESSION sql_mode = ''")
            for name in ("keyed", "bare"):
                session.execute(f"UPDATE {name} SET {changes}, moment = '2024-01-15 01:02:03' WHERE id = 1")
                session.execute(f"INSERT INTO {name} VALUES (3, {extra_row}, {others})")
        if is_applied:
            replica.catch_up()
        (secondary,) = replica.run("verify", "run", "--json").lines[-1]["secondaries"]
        assert {t["table"].partition(".")[2] for t in secondary["tables"]} == {"keyed", "bare"}
        assert secondary["is_equal"]
    finally:
        replica.close()
