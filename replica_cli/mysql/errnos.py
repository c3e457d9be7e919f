"""Error numbers and what they mean for us: the one table that decides.

Sources: https://mariadb.com/kb/en/mariadb-error-code-reference/ and MySQL's error reference.
"""

from __future__ import annotations

import re
from enum import Enum

from replica_cli.core.errors import ExitCode, ReplicaError


class Remedy(Enum):
    """What to do about a failed statement."""

    RETRY = "roll back and do the whole batch again"
    RECONNECT = "open a new connection, read the position row, go on from there"
    WAIT = "wait until it clears, then go on"
    FATAL = "stop"


class ServerError(ReplicaError):
    """A server refused a statement, or went away; `errno` is its own number."""

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
        self.exit_code = exit_code  # type: ignore[misc]  # one class, two sides: the server decides
        self.errno = errno
        self.server = server
        self.text = message
        self.remedy = remedy

    @property
    def is_connection_lost(self) -> bool:
        """Say whether the connection is gone, so that nothing is known of the last statement."""
        return self.remedy is Remedy.RECONNECT

    @property
    def is_unknown(self) -> bool:
        """Say whether nothing is known of the error: it may go away, as that of a temporary file which is gone.

        Only for questions: a change of rows that is refused belongs to its table, whatever the number is.
        """
        return self.remedy is Remedy.FATAL and self.errno not in _CERTAIN and self.errno not in _OF_CLIENT

    @property
    def may_clear(self) -> bool:
        """Say whether another attempt at a question may get an answer."""
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
ER_ACCESS_DENIED = 1045
ER_LOCK_WAIT_TIMEOUT = 1205
# LOAD DATA LOCAL is forbidden: MariaDB's word, MySQL's, and an old one of both.
LOADING_IS_OFF = frozenset({4166, 3948, 1148})

DUPLICATES = frozenset({ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME, 1022, 1169})

# What a server answers to a definition that it cannot make, whatever the table holds: of the statement, not of the
# table here. An error that may say that the secondary's table, or its rows, are not the primary's is not among them: a
# copy would hide that somebody changed them.
OF_DEFINITIONS = frozenset({
    1005,  # cannot create: a foreign key that does not fit, or whose parent is missing
    1031, 1112, 1178, 1478,  # the engine has no such option
    1064, 1235, 1911, 1912,  # syntax, options and values that another flavour or release does not know
    1067, 1101, 1294, 1674,  # defaults
    1070, 1071, 1089, 1163, 1164, 1167, 1170,  # keys and counters that the engine does not take
    1074, 1113, 1115, 1117, 1118, 1273, 4161,  # columns: too long, too many, of a charset or a type that is not there
    1215, 1822, 1824, 3734, 3780, 6125,  # foreign keys
    1286, 3161, 3510,  # engines and tablespaces that are not there
    1305, 1630,  # functions that are not there
    1901, 1903, 1906, 1909, 3102, 3105, 3106, 3757, 3758, 3763, 3770, 3774,  # expressions of columns, keys and defaults
    3750, 3812, 3813, 3822,  # a primary key is required; checks
})  # fmt: skip
# What cannot be dropped: of a table whose constraints have other names here, as MySQL takes a name once in a schema.
CANNOT_DROP = frozenset({1091, 3821, 3940})
# Our user may not do it: the copy may not either.
RIGHTS = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1410})

# What another attempt at a question meets again: somebody has to do something, or a statement of ours is wrong.
_CERTAIN = DUPLICATES | OF_DEFINITIONS | CANNOT_DROP | RIGHTS | LOADING_IS_OFF | {
    ER_KEY_NOT_FOUND, ER_DUP_KEYNAME, ER_DROP_INDEX_FK, ER_NO_SUCH_TABLE, ER_UNKNOWN_SEQUENCES, ER_BAD_TABLE,
    ER_TABLE_EXISTS, ER_BAD_DB, ER_BAD_FIELD, ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW,
    ER_MASTER_FATAL_ERROR_READING_BINLOG, ER_ERROR_WHEN_EXECUTING_COMMAND, ER_SLAVE_SAME_ID,
    ER_UNKNOWN_SYSTEM_VARIABLE, ER_READ_ONLY_VARIABLE, ER_OPTION_PREVENTS_STATEMENT, ER_TABLE_DEF_CHANGED,
    1046, 1060, 1149, 1153, 1231, 1298, 1356,  # no schema, a column twice, syntax, packets, values, time zones, views
    1130, 1251, 1524, 1698, 1820, 1862, 3118,  # who may log in, and how
}  # fmt: skip
_OF_CLIENT = range(2000, 3000)

_REMEDIES: dict[int, Remedy] = {
    1205: Remedy.RETRY,  # lock wait timeout: rolls back the statement only, so we roll back the rest
    1213: Remedy.RETRY,  # deadlock: the server rolled back all of it
    1467: Remedy.RETRY,  # the same at the lock of an AUTO_INCREMENT counter (MariaDB)
    1020: Remedy.RETRY,  # record changed since last read (MariaDB snapshot isolation)
    1317: Remedy.RETRY,  # query interrupted
    1969: Remedy.RETRY,  # max_statement_time
    3024: Remedy.RETRY,  # max_execution_time
    3101: Remedy.RETRY,  # rolled back by the group
    CR_CONNECTION_ERROR: Remedy.RECONNECT,
    CR_CONN_HOST_ERROR: Remedy.RECONNECT,
    CR_SERVER_GONE_ERROR: Remedy.RECONNECT,
    CR_SERVER_LOST: Remedy.RECONNECT,
    CR_MALFORMED_PACKET: Remedy.RECONNECT,  # something on the way may have cut it
    2055: Remedy.RECONNECT,  # lost connection at a named stage
    0: Remedy.RECONNECT,  # pymysql: the connection was closed under it
    1053: Remedy.RECONNECT,  # server shutdown in progress
    1077: Remedy.RECONNECT,
    1079: Remedy.RECONNECT,
    1080: Remedy.RECONNECT,
    1042: Remedy.RECONNECT,
    1043: Remedy.RECONNECT,  # bad handshake: the server went away in the middle of it
    1180: Remedy.RECONNECT,  # error during COMMIT: the position row tells whether it happened
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
    1792: Remedy.WAIT,  # read-only transaction: the server is being switched
    3100: Remedy.WAIT,  # a group that cannot commit now
    1047: Remedy.WAIT,  # a Galera node that is not in its group
    1041: Remedy.WAIT,  # out of memory
    1135: Remedy.WAIT,  # no thread for a connection
    1129: Remedy.WAIT,  # our host is blocked for its many errors
    1637: Remedy.WAIT,  # too many transactions at a time
    1878: Remedy.WAIT,  # error writing a temporary file
}


# Errors that only say that something failed. The cause is a number or the name of an option in the text, whatever its
# language. Those below go away by themselves, or when somebody mends the server; all others belong to the statement. A
# number is the last one after "errno", as a file's name comes before it and may hold anything.
_NUMBER_OF_FILE, _NUMBER_OF_ENGINE = re.compile(r"\berrno:? (\d+)"), re.compile(r"\b(\d+)\b")
_NAME_OF_OPTION = re.compile(r"--([\w-]+)")
_HAS_CAUSE = {3: _NUMBER_OF_FILE, 1026: _NUMBER_OF_FILE, 1030: _NUMBER_OF_ENGINE, 1290: _NAME_OF_OPTION}
# Linux (errno.h): interrupted, I/O error, again, no memory, busy, too many files, no space, read-only file system, and
# quota. A file that is too large (27) is one table's.
_CLEARING_OF_SYSTEM = frozenset({"4", "5", "11", "12", "16", "23", "24", "28", "30", "122"})
# Engines (my_base.h) pass on the system's below 120, and have their own from there: no memory, no room in a file, lock
# waits and deadlocks, too many transactions, InnoDB is read-only, no room for temporary files, InnoDB is in recovery.
_CLEARING_OF_ENGINES = frozenset({n for n in _CLEARING_OF_SYSTEM if int(n) < 120}) | {
    "128", "135", "136", "146", "147", "149", "177", "187", "189", "190",
}  # fmt: skip
_CLEARING_OPTIONS = frozenset({"read-only", "super-read-only", "innodb-read-only", "transaction-read-only"})
_CLEARING = {
    _NUMBER_OF_FILE: _CLEARING_OF_SYSTEM, _NUMBER_OF_ENGINE: _CLEARING_OF_ENGINES, _NAME_OF_OPTION: _CLEARING_OPTIONS,
}  # fmt: skip


def remedy_of(errno: int, text: str = "") -> Remedy:
    """Return what to do about an error number; FATAL where the table does not know it.

    `text` is the server's message: it tells the cause of errors that have many. One without a cause is waited for.
    """
    remedy = _REMEDIES.get(errno, Remedy.FATAL)
    pattern = _HAS_CAUSE.get(errno)
    causes = pattern.findall(text) if pattern is not None else []
    if pattern is None or not causes:
        return remedy
    cause = causes[-1] if pattern is _NUMBER_OF_FILE else causes[0]
    return remedy if cause.replace("_", "-") in _CLEARING[pattern] else Remedy.FATAL


def is_of_table(error: ServerError) -> bool:
    """Return True if an error of a change belongs to its table: another attempt meets it again.

    For a connection that has just written to our own tables: what makes one table alone read-only does not go away.
    """
    return error.remedy is Remedy.FATAL or error.errno == ER_OPEN_AS_READONLY
