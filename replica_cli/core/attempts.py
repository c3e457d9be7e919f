"""How often and for how long everything is tried again: all limits that are not settings, in one table.

It also has the limits of loops that wait for a server, such as those that read a value until it stays the same.
`error_policy` and the loops use the constants, docs/how-it-works/errors.md shows `attempts_table`.
"""

from __future__ import annotations

# Most errors are counted until something is applied: `error_policy.History` says which, and which are not.
QUICK_ATTEMPTS = 5
"""Attempts to connect again with short waits, one second more each time, before the waits follow the settings."""
UNKNOWN_ATTEMPTS = 6
"""Errors with numbers that replica does not know: they may go away, or may not.

`DeferrableQueries` counts the attempts at one question, `error_policy` the connections that end with such an error.
"""
CORRUPT_ATTEMPTS = 2
"""Broken events: the second reading of the same bytes decides."""
PANIC_ATTEMPTS = 2
"""Bugs: the same bug meets the same event again, so one more attempt is enough."""
REFUSALS_LIMIT = 5
"""Windows of a table, one after another, in which a row is refused: after four copies the window is not the cause."""
KICKS_LIMIT, KICK_SECONDS = 4, 300.0
"""Kicks: dump connections that another replica with the same server id ended, within this time."""
CHUNK_LOSSES_LIMIT = 10
"""Connections lost at one chunk of a copy: something between the servers may not pass its packet."""
COPY_RESTARTS_LIMIT = 5
"""Times that the copy of a table begins again, because the table was altered while it was copied."""
DEFINITION_ATTEMPTS = 20
"""Readings of a definition, which takes two queries, if the table is altered between the two."""
CHUNK_READ_ATTEMPTS = 3
"""Readings of a chunk if the number of its rows is not what the primary counts: rows may come or go in between."""
STATE_READ_ATTEMPTS = 10
"""Readings of an instance and then of the primary, if the position moves before it is checked in the log."""
CHANGED_RECORD_SECONDS = 1.0
"""How long a re-sync waits after another thread or process changed the records of its tables."""
WRITER_LOCK_SECONDS = 10.0
"""How long a process waits for the writer's lock while the connection that holds it works."""
REPAIR_STEP_SECONDS = 60.0
"""How much longer it waits if that connection repairs rows: the lock is freed after the rows that were begun with."""
LOCK_FREE_ATTEMPTS = 10
"""How often the server may answer that the writer's lock is free and not give it."""
RESTART_SECONDS, RESTART_LIMIT_SECONDS = 1.0, 30.0
"""The wait before a dead worker process is started again: this much longer with each death, and the longest one."""
QUIET_SECONDS = 600.0
"""If a worker process lived longer than this, its death is not counted as one of several in a row."""
TABLE_LOCK_ATTEMPTS, TABLE_LOCK_SECONDS = 10, 3
"""Attempts to lock tables of the primary, and how long each may wait: the writers of the tables wait behind it."""
GTID_ATTEMPTS = 200
"""Attempts to read a GTID set at the end of a log that grows meanwhile."""
SNAPSHOT_ATTEMPTS = 50
"""Attempts to read a snapshot's position while other sessions ask for the same status."""

_ROWS = (
    (
        "a server is lost, cannot be reached, or cannot write",
        f"`REPLICA_RECONNECT_ATTEMPTS`. Waits of 1, 2, ... {QUICK_ATTEMPTS} s, then those of the settings",
        "the stream ends",
    ),
    (
        "the same, at a chunk of a copy",
        "`REPLICA_RECONNECT_ATTEMPTS`, with the waits of the settings from the first on",
        "the copy ends",
    ),
    (
        "the server asks to repeat a batch or a chunk (a deadlock, a row lock that is waited for too long)",
        "`REPLICA_RETRY_ATTEMPTS`, with the waits of the settings",
        "the stream begins again at its saved position, as after a lost server; the copy of the table fails",
    ),
    (
        "a table fails",
        "`REPLICA_TABLE_FAILURES`, with the waits of the settings",
        "the table is quarantined (`REPLICA_ON_TABLE_FAILURE`)",
    ),
    (
        "a row is refused inside a replay window",
        f"{REFUSALS_LIMIT} windows, one after another; after each refusal the table is copied again",
        "the table is quarantined",
    ),
    (
        "a bug of `replica`, or a broken event in the log",
        f"{PANIC_ATTEMPTS} for a bug, {CORRUPT_ATTEMPTS} for an event",
        "the table is quarantined if it is known; otherwise the stream ends",
    ),
    (
        "a server answers a question beside the rows with an error that is not known",
        f"{UNKNOWN_ATTEMPTS}, with the waits of the settings, while the rows go on; then on a new connection",
        f"if {UNKNOWN_ATTEMPTS} connections in a row end so, and nothing was applied meanwhile, the stream ends",
    ),
    (
        "another replica uses the same server id",
        f"{KICKS_LIMIT} lost dump connections within {KICK_SECONDS / 60:.0f} minutes",
        "the stream ends",
    ),
    (
        "a server hangs up on the same chunk of a copy",
        f"{CHUNK_LOSSES_LIMIT}",
        "the copy of the table fails",
    ),
    (
        "a table of the primary is altered while it is copied",
        f"{COPY_RESTARTS_LIMIT} more copies",
        "the copy of the table fails",
    ),
    (
        "a table of the primary is altered between the two queries that read its definition",
        f"{DEFINITION_ATTEMPTS}, at once",
        "the copy of the table fails; if the copy is only planned yet, the command or the stream ends",
    ),
    (
        "a chunk of a copy does not have the number of rows that the primary counts",
        f"{CHUNK_READ_ATTEMPTS}, at once",
        "the copy of the table fails",
    ),
    (
        "the position of a stream moves while another command checks it in the primary's log, and the check fails",
        f"{STATE_READ_ATTEMPTS}, at once",
        "the command reports the error of the last check",
    ),
    (
        "a DDL statement waits for a lock on the secondary",
        "`REPLICA_DDL_LOCK_WAIT`: 1, 2, 4 ... minutes",
        "the table is quarantined",
    ),
    (
        "another process holds the writer's lock",
        (
            f"{WRITER_LOCK_SECONDS:.0f} s; {REPAIR_STEP_SECONDS:.0f} s more if it repairs rows; without a limit "
            "while the server rolls back a transaction of that process"
        ),
        "the command or the stream ends; a standby waits",
    ),
    (
        "the server answers that the writer's lock is free and does not give it",
        f"{LOCK_FREE_ATTEMPTS}, a second each",
        "the stream ends",
    ),
    (
        "a worker process dies",
        f"without a limit, {RESTART_SECONDS:.0f} s later each time up to {RESTART_LIMIT_SECONDS:.0f} s",
        f"a process that lived for {QUIET_SECONDS / 60:.0f} minutes is counted as the first one again",
    ),
    (
        "a table of the primary that is copied under a read lock is in use",
        f"{TABLE_LOCK_ATTEMPTS}, each waits for {TABLE_LOCK_SECONDS} s at most; then the chunk is repeated",
        "the copy of the table fails",
    ),
    (
        "the primary's log grows while its GTID set is read",
        f"{GTID_ATTEMPTS}, a few milliseconds apart",
        "the copy or the stream ends with a hint",
    ),
    (
        "other sessions of the primary ask for the status all the time while a snapshot's position is read",
        f"{SNAPSHOT_ATTEMPTS}",
        "the copy or the stream ends with a hint",
    ),
)


def attempts_table() -> str:
    """Return the table of all limits for the documents, as Markdown."""
    rows = (("what happens", "how often it is tried, and the waits", "after the last attempt"), *_ROWS)
    head, *rest = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join((head, "|---|---|---|", *rest))
