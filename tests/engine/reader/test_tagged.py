"""GTIDs with a tag on a real MySQL server: read, requested by set, saved, shown, and found in the log again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.gtid import MysqlGtids
from replica_cli.core.settings import Network
from replica_cli.mysql.binlog.purged_gtids import check_gtid_set
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.boundary import locate
from tests.engine.reader.log import Log, changing, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers import ServerFactory

pytestmark = pytest.mark.servers("mysql")


@pytest.fixture
def tagged(server_binary: object, server_factory: ServerFactory) -> Iterator[Log]:
    # A server of its own: one tagged GTID changes the head of all its later files.
    log = Log(server_factory(*str(server_binary).split(":")[:1]), "tags")
    log.run("CREATE TABLE t (id INT PRIMARY KEY)")
    log.start = log.here()
    for key, following in enumerate(("AUTOMATIC:one", "AUTOMATIC", "AUTOMATIC:two", "AUTOMATIC:one", "AUTOMATIC:one")):
        log.run(f"SET gtid_next = '{following}'", f"INSERT INTO t VALUES ({key})")
        if key == 2:
            log.run("SET gtid_next = 'AUTOMATIC'", "FLUSH BINARY LOGS")
    log.run("SET gtid_next = 'AUTOMATIC:one'", "CREATE TABLE u (id INT)", "SET gtid_next = 'AUTOMATIC'")
    yield log
    log.session.close()


@pytest.mark.parametrize("by_gtid", [False, True], ids=["by file", "by gtid"])
def test_each_tagged_gtid_is_read_once_from_every_position(tagged: Log, *, by_gtid: bool) -> None:
    found = changing(tagged.read(by_gtid=by_gtid))
    assert shown(found) == ["INSERT t"] * 5 + ["CREATE TABLE u (id INT)"]
    uuid = tagged.session.rows("SELECT @@server_uuid")[0][0]
    tags = [t.gtid.removeprefix(f"{uuid}:").rpartition(":")[0] for t in found]
    assert tags == ["one", "", "two", "one", "one", "one"]
    executed = MysqlGtids(tagged.start.gtid)
    for number, transaction in enumerate(found, 1):
        executed.add(transaction.gtid)
        place = check_gtid_set(tagged.session, read_facts(tagged.session), str(executed))
        assert shown(tagged.read(place, by_gtid=True)) == shown(found[number:])
        if transaction.end.file == tagged.here().file:
            located = locate(tagged.session, read_facts(tagged.session), Network(), transaction.end)
            assert located.gtid == str(executed)


def test_the_whole_log_by_an_empty_set(tagged: Log) -> None:
    found = changing(tagged.read(type(tagged.start)("", 0, ""), by_gtid=True))
    assert shown(found)[-6:] == ["INSERT t"] * 5 + ["CREATE TABLE u (id INT)"]
    assert "CREATE TABLE t (id INT PRIMARY KEY)" in shown(found)


def test_the_servers_own_set_is_what_was_read(tagged: Log) -> None:
    found = tagged.read()
    executed = MysqlGtids(tagged.start.gtid)
    for transaction in found:
        if transaction.gtid:
            executed.add(transaction.gtid)
    assert str(executed) == str(MysqlGtids(tagged.here().gtid))
