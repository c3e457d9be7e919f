"""Decide what to do about the error numbers of servers. No other module decides this.

Sources: https://mariadb.com/kb/en/mariadb-error-code-reference/ and MySQL's error reference.
"""

from __future__ import annotations

import re
from enum import Enum

from replica_cli.core.errors import ExitCode, ReplicaError


class Remedy(Enum):
    """What to do after a statement failed."""

    RETRY = "roll back and do the whole batch again"
    RECONNECT = "open a new connection, read the position row, go on from there"
    WAIT = "wait until it clears, then go on"
    FATAL = "stop"


class ServerError(ReplicaError):
    """A server refused a statement, or the connection to it was lost.

    `errno` is the number that the server or the driver gives, and `text` is the message without the server's name.
    """

    code = "server_error"

    def __init__(
        self,
        errno: int,
        message: str,
        server: str,
        *,
        remedy: Remedy,
        hint: str | None = None,
        exit_code: ExitCode = ExitCode.FAILURE,
    ) -> None:
        super().__init__(f"{server}: {message} (error {errno})", hint=hint)
        self.exit_code = exit_code  # type: ignore[misc]  # one class for both sides: the server decides
        self.errno = errno
        self.server = server
        self.text = message
        self.remedy = remedy

    @property
    def is_connection_lost(self) -> bool:
        """Return True if the connection is gone, so that the result of the last statement is unknown."""
        return self.remedy is Remedy.RECONNECT

    @property
    def is_unreachable(self) -> bool:
        """Return True if no connection could be made."""
        return self.errno in (CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR)

    @property
    def is_unknown(self) -> bool:
        """Return True if this module does not know the number, so that the error may go away.

        An example is the error for a temporary file that no longer exists. Use it only for queries: if a change of rows
        is refused, the table causes it, whatever the number is.
        """
        return self.remedy is Remedy.FATAL and self.errno not in _CERTAIN and self.errno not in _OF_CLIENT

    @property
    def may_clear(self) -> bool:
        """Return True if another attempt at a query may succeed."""
        return self.remedy is not Remedy.FATAL or self.is_unknown


CR_CONNECTION_ERROR = 2002
CR_CONN_HOST_ERROR = 2003
CR_SERVER_GONE_ERROR = 2006
CR_SERVER_LOST = 2013
CR_MALFORMED_PACKET = 2027

ER_DUP_ENTRY = 1062
ER_DUP_ENTRY_WITH_KEY_NAME = 1586
ER_KEY_NOT_FOUND = 1032
ER_DUP_KEYNAME = 1061
ER_DROP_INDEX_FK = 1553
ER_NO_SUCH_TABLE = 1146
ER_SPECIFIC_ACCESS_DENIED = 1227
ER_CANT_CREATE_TABLE = 1005
ER_UNKNOWN_SEQUENCES = 4091
ER_BAD_TABLE = 1051
ER_TABLE_EXISTS = 1050
ER_BAD_DB = 1049
ER_BAD_FIELD = 1054
ER_ROW_IS_REFERENCED = 1451
ER_NO_REFERENCED_ROW = 1452
ER_MASTER_FATAL_ERROR_READING_BINLOG = 1236
ER_ERROR_WHEN_EXECUTING_COMMAND = 1220
ER_SLAVE_SAME_ID = 4052
ER_PARSE_ERROR = 1064
ER_UNKNOWN_SYSTEM_VARIABLE = 1193
ER_READ_ONLY_VARIABLE = 1238
ER_OPTION_PREVENTS_STATEMENT = 1290
ER_OPEN_AS_READONLY = 1036
ER_TABLE_DEF_CHANGED = 1412
# A query took longer than the session allows: MariaDB's number, and MySQL's.
QUERY_TIMEOUTS = frozenset({1969, 3024})
ER_ACCESS_DENIED = 1045
ER_TABLEACCESS_DENIED = 1142
ER_KEY_DOES_NOT_EXIST = 1176
ER_LOCK_WAIT_TIMEOUT = 1205
# LOAD DATA LOCAL is forbidden: MariaDB's number, MySQL's number, and an old number of both.
LOADING_IS_OFF = frozenset({4166, 3948, 1148})

DUPLICATES = frozenset({ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME, 1022, 1169})

# Errors for a definition that the server cannot make, whatever the table holds. The statement causes them, not the
# table on the secondary. Errors that may mean that the secondary's table or its rows differ from the primary's are not
# in this set: a copy would hide that somebody changed them.
OF_DEFINITIONS = frozenset({
    1005,  # cannot create: a foreign key that does not fit, or whose parent is missing
    1031, 1112, 1178, 1478,  # the engine has no such option
    1064, 1235, 1911, 1912,  # syntax, options and values that another flavour or release does not know
    1067, 1101, 1294, 1674,  # defaults
    1070, 1071, 1089, 1163, 1164, 1167, 1170,  # keys and counters that the engine does not accept
    1074, 1113, 1115, 1117, 1118, 1273, 4161,  # columns: too long, too many, of an unknown charset or type
    1215, 1822, 1824, 3734, 3780, 6125,  # foreign keys
    1286, 3161, 3510,  # engines and tablespaces that do not exist
    1305, 1630,  # functions that do not exist
    1901, 1903, 1906, 1909, 3102, 3105, 3106, 3757, 3758, 3763, 3770, 3774,  # expressions of columns, keys and defaults
    3750, 3812, 3813, 3822,  # a primary key is required; checks
})  # fmt: skip
# An index or a constraint that cannot be dropped. Constraints of the secondary's table may have other names, because
# MySQL allows a name only once in a schema.
CANNOT_DROP = frozenset({1091, 3821, 3940})
# Our account has no privilege for it. A copy has none either.
RIGHTS = frozenset({1044, ER_ACCESS_DENIED, ER_TABLEACCESS_DENIED, 1143, ER_SPECIFIC_ACCESS_DENIED, 1370, 1410})

# Errors that another attempt at a query meets again: an operator has to act, or a statement of this program is wrong.
_CERTAIN = DUPLICATES | OF_DEFINITIONS | CANNOT_DROP | RIGHTS | LOADING_IS_OFF | {
    ER_KEY_NOT_FOUND, ER_DUP_KEYNAME, ER_DROP_INDEX_FK, ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES, ER_BAD_TABLE,
    ER_TABLE_EXISTS, ER_BAD_DB, ER_BAD_FIELD, ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW,
    ER_MASTER_FATAL_ERROR_READING_BINLOG, ER_ERROR_WHEN_EXECUTING_COMMAND, ER_SLAVE_SAME_ID,
    ER_UNKNOWN_SYSTEM_VARIABLE, ER_READ_ONLY_VARIABLE, ER_OPTION_PREVENTS_STATEMENT, ER_TABLE_DEF_CHANGED,
    1046, 1060, 1149, 1153, 1231, 1298, 1356,  # no schema, a column twice, syntax, packets, values, time zones, views
    1130, 1251, 1524, 1698, 1820, 1862, 3118,  # logins and authentication
}  # fmt: skip
_OF_CLIENT = range(2000, 3000)

_REMEDIES: dict[int, Remedy] = {
    1205: Remedy.RETRY,  # lock wait timeout: rolls back only the statement, so we roll back the rest
    1213: Remedy.RETRY,  # deadlock: the server rolled back the transaction
    1467: Remedy.RETRY,  # the same at the lock of an AUTO_INCREMENT counter (MariaDB)
    1020: Remedy.RETRY,  # record changed since last read (MariaDB snapshot isolation)
    1317: Remedy.RETRY,  # query interrupted
    1969: Remedy.RETRY,  # max_statement_time
    3024: Remedy.RETRY,  # max_execution_time
    3101: Remedy.RETRY,  # rolled back by the replication group
    CR_CONNECTION_ERROR: Remedy.RECONNECT,
    CR_CONN_HOST_ERROR: Remedy.RECONNECT,
    CR_SERVER_GONE_ERROR: Remedy.RECONNECT,
    CR_SERVER_LOST: Remedy.RECONNECT,
    CR_MALFORMED_PACKET: Remedy.RECONNECT,  # the network may have cut it
    2055: Remedy.RECONNECT,  # lost connection at a named stage
    0: Remedy.RECONNECT,  # pymysql: the connection was already closed
    1053: Remedy.RECONNECT,  # server shutdown in progress
    1077: Remedy.RECONNECT,
    1079: Remedy.RECONNECT,
    1080: Remedy.RECONNECT,
    1042: Remedy.RECONNECT,
    1043: Remedy.RECONNECT,  # bad handshake: the server went away during it
    1180: Remedy.RECONNECT,  # error during COMMIT: the position row tells whether it was committed
    1181: Remedy.RECONNECT,  # error during ROLLBACK
    1152: Remedy.RECONNECT,  # aborted connection
    1153: Remedy.FATAL,  # packet larger than max_allowed_packet
    1158: Remedy.RECONNECT,
    1159: Remedy.RECONNECT,
    1160: Remedy.RECONNECT,
    1161: Remedy.RECONNECT,
    1184: Remedy.RECONNECT,
    1927: Remedy.RECONNECT,  # connection was killed
    3169: Remedy.RECONNECT,  # session was killed
    4031: Remedy.RECONNECT,  # disconnected by inactivity
    1021: Remedy.WAIT,  # disk full
    1114: Remedy.WAIT,  # the table is full
    1030: Remedy.WAIT,  # error from the storage engine, 28 (no space) among them; see _HAS_CAUSE
    1026: Remedy.WAIT,  # error writing a file; see _HAS_CAUSE
    3: Remedy.WAIT,  # error writing a temporary file; see _HAS_CAUSE
    3675: Remedy.WAIT,  # MySQL: no space for a table that is made or altered
    3032: Remedy.WAIT,  # offline_mode
    ER_OPEN_AS_READONLY: Remedy.WAIT,  # the table is read only: innodb_read_only; see is_of_table
    1040: Remedy.WAIT,  # too many connections
    1203: Remedy.WAIT,  # too many connections of this user
    1226: Remedy.WAIT,  # resource limit of this user
    1290: Remedy.WAIT,  # read_only; see _HAS_CAUSE
    1836: Remedy.WAIT,  # read-only mode
    1792: Remedy.WAIT,  # read-only transaction: a switchover is in progress
    3100: Remedy.WAIT,  # a replication group that cannot commit now
    1047: Remedy.WAIT,  # a Galera node that is not in its group
    1041: Remedy.WAIT,  # out of memory
    1135: Remedy.WAIT,  # no thread for a connection
    1129: Remedy.WAIT,  # our host is blocked because of many errors
    1637: Remedy.WAIT,  # too many transactions at a time
    1878: Remedy.WAIT,  # error writing a temporary file
}


# These errors say only that something failed. Their text names the cause, in every language of the server: a number, or
# an option. The causes below go away by themselves, or when an operator repairs the server. With any other cause the
# error belongs to the statement. The number is the last one after "errno", because the name of a file comes before it
# and may contain anything.
_NUMBER_OF_FILE, _NUMBER_OF_ENGINE = re.compile(r"\berrno:? (\d+)"), re.compile(r"\b(\d+)\b")
_NAME_OF_OPTION = re.compile(r"--([\w-]+)")
# Linux (errno.h): interrupted, I/O error, again, no memory, busy, too many files, no space, read-only file system, and
# quota. A file that is too large (27) is not in this set: it belongs to one table.
_CLEARING_OF_SYSTEM = frozenset({"4", "5", "11", "12", "16", "23", "24", "28", "30", "122"})
# Engines (my_base.h) pass on the system's numbers below 120 and have their own numbers from 120 on: no memory, no room
# in a file, lock waits and deadlocks, too many transactions, InnoDB is read-only, no room for temporary files, InnoDB
# is in recovery.
_CLEARING_OF_ENGINES = frozenset({n for n in _CLEARING_OF_SYSTEM if int(n) < 120}) | {
    "128", "135", "136", "146", "147", "149", "177", "187", "189", "190",
}  # fmt: skip
_CLEARING_OPTIONS = frozenset({"read-only", "super-read-only", "innodb-read-only", "transaction-read-only"})
# By error number: where the message has its cause, and the causes that go away. 1005 is a table that cannot be made,
# 1025 one that cannot be renamed or altered: most of their causes do not go away.
_HAS_CAUSE = {
    3: (_NUMBER_OF_FILE, _CLEARING_OF_SYSTEM),
    1005: (_NUMBER_OF_FILE, _CLEARING_OF_ENGINES),
    1025: (_NUMBER_OF_FILE, _CLEARING_OF_ENGINES),
    1026: (_NUMBER_OF_FILE, _CLEARING_OF_SYSTEM),
    1030: (_NUMBER_OF_ENGINE, _CLEARING_OF_ENGINES),
    1290: (_NAME_OF_OPTION, _CLEARING_OPTIONS),
}


def remedy_of(errno: int, text: str = "") -> Remedy:
    """Return what to do about an error number; FATAL for a number that is not in the table.

    `text` is the server's message, which names the cause if an error number has several.
    """
    remedy = _REMEDIES.get(errno, Remedy.FATAL)
    if errno not in _HAS_CAUSE:
        return remedy
    pattern, clearing = _HAS_CAUSE[errno]
    causes = pattern.findall(text)
    if not causes:
        return remedy
    cause = causes[-1] if pattern is _NUMBER_OF_FILE else causes[0]
    return Remedy.WAIT if cause.replace("_", "-") in clearing else Remedy.FATAL


def is_of_table(error: ServerError) -> bool:
    """Return True if the table causes the error of a change, so that another attempt fails again.

    For a connection that has just written to the state schema: if only one table is read-only, that does not go away.
    """
    return error.remedy is Remedy.FATAL or error.errno == ER_OPEN_AS_READONLY
