"""The list of all variables. Tests compare the code, example.env and docs/configuration.md with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable; `default` is empty if there is none. A secret can also come from a file (`<name>_FILE`)."""

    name: str
    default: str
    meaning: str
    is_secret: bool = False


def _tls(side: str, whose: str) -> tuple[Variable, ...]:
    modes = "off, preferred, required, verify-ca or verify-identity"
    return (
        Variable(f"{side}_TLS", "preferred", f"TLS to {whose}: {modes}; if only a CA is given: verify-ca"),
        Variable(f"{side}_TLS_CA", "", f"PEM file with the authority that signed the certificate of {whose}"),
        Variable(f"{side}_TLS_CERT", "", f"PEM file with the certificate that replica shows to {whose}"),
        Variable(f"{side}_TLS_KEY", "", f"PEM file with the key of the certificate that replica shows to {whose}"),
    )


VARIABLES: tuple[Variable, ...] = (
    Variable("MARIA_PRIMARY_HOST", "mariadb-primary", "host of the primary"),
    Variable("MARIA_PRIMARY_PORT", "3306", "port of the primary"),
    Variable("MARIA_PRIMARY_NAME", "mariadb-primary", "name of the primary in logs"),
    Variable("MARIA_USER", "replica", "user on the primary, and on secondaries without a user of their own"),
    Variable(
        "MARIA_PASS", "replica", "password on the primary, and on secondaries without one of their own", is_secret=True
    ),
    Variable("MARIA_PASS_FILE", "", "file to read MARIA_PASS from instead"),
    Variable(
        "MARIA_SERVER_ID",
        "100",
        "first server id of the dump connections; each secondary uses two ids, counted up from it",
    ),
    Variable("MARIA_SECONDARY_HOSTS", "", "hosts of the secondaries, comma-separated; required"),
    Variable("MARIA_SECONDARY_PORTS", "", "ports of the secondaries, one for each host; 3306 if not given"),
    Variable(
        "MARIA_SECONDARY_NAMES",
        "",
        "names of the secondaries, one for each host, all different; host:port if not given",
    ),
    Variable("MARIA_SECONDARY_USERS", "", "users on the secondaries, one for each host; an empty one means MARIA_USER"),
    Variable(
        "MARIA_SECONDARY_PASSWORDS",
        "",
        "passwords on the secondaries, one for each host, comma-separated; an empty one means MARIA_PASS",
        is_secret=True,
    ),
    Variable(
        "MARIA_SECONDARY_PASSWORDS_FILE",
        "",
        "file to read MARIA_SECONDARY_PASSWORDS from instead, one on each line (needed if they contain commas)",
    ),
    *_tls("MARIA_PRIMARY", "the primary"),
    *_tls("MARIA_SECONDARY", "the secondaries"),
    Variable(
        "REPLICA_SCHEMAS",
        "replica",
        "schemas to replicate, comma-separated; `*`: all except system schemas; `a:b` copies schema a into b",
    ),
    Variable("REPLICA_TABLES", "", "only these tables: `schema.table` patterns with `*` and `?`; all if not given"),
    Variable("REPLICA_EXCLUDE_TABLES", "", "never these tables: patterns as above; none if not given"),
    Variable("REPLICA_STATE_SCHEMA", "replica_state", "schema on each secondary for the tool's own tables"),
    Variable("REPLICA_ENGINE", "auto", "the engine that applies rows: auto (chosen for each table), row-image or sql"),
    Variable(
        "REPLICA_DDL",
        "apply",
        "what to do with DDL statements on replicated tables: apply, quarantine (the table) or stop",
    ),
    Variable(
        "REPLICA_ON_TABLE_FAILURE", "quarantine", "what to do with a table that keeps failing: quarantine or stop"
    ),
    Variable("REPLICA_TABLE_FAILURES", "5", "failures in a row after which a table counts as failing"),
    Variable(
        "REPLICA_DDL_LOCK_WAIT",
        "1h",
        "longest wait of a DDL statement for locks on a secondary, before its table counts as failing; 0s: no limit",
    ),
    Variable("REPLICA_COMPACT", "true", "merge the changes of one row within a batch"),
    Variable("TRANSFER_BATCH_SIZE", "1000", "rows in a transfer chunk"),
    Variable(
        "REPLICA_TRANSFER_WORKERS",
        "",
        "workers that copy to one secondary at the same time; if not set: 4, and up to 16 if a server is far away",
    ),
    Variable("REPLICA_PROGRESS_FOLDER", ".", "folder of transfer_progress_<name>.json"),
    Variable("REPLICA_BATCH_TRANSACTIONS", "5000", "most source transactions in one commit on a secondary"),
    Variable("REPLICA_BATCH_BYTES", "8MiB", "most bytes of binary log in one commit, unpacked"),
    Variable(
        "REPLICA_BATCH_AGE",
        "200ms",
        "longest time to collect transactions before they are committed together",
    ),
    Variable("REPLICA_QUEUE_BYTES", "16MiB", "most bytes of binary log read ahead, unpacked, per secondary"),
    Variable("REPLICA_RETRY_ATTEMPTS", "3", "attempts at a failed batch or chunk, with the first"),
    Variable("REPLICA_RETRY_DELAY", "100ms", "wait before the second attempt; doubled for each further one"),
    Variable("REPLICA_RETRY_DELAY_LIMIT", "1m", "longest wait between two attempts"),
    Variable("REPLICA_RECONNECT_ATTEMPTS", "0", "attempts to reach a lost server again; 0: no limit"),
    Variable("REPLICA_CONNECT_TIMEOUT", "10s", "longest wait for a connection"),
    Variable("REPLICA_HEARTBEAT", "2s", "how often an idle primary sends a heartbeat event"),
    Variable("REPLICA_READ_TIMEOUT", "10s", "time without data after which a connection to the primary counts as dead"),
    Variable("REPLICA_QUERY_TIMEOUT", "1h", "longest wait for the answer to one statement"),
    Variable(
        "REPLICA_LEASE",
        "5s",
        "time without a heartbeat of a stream after which its `--standby` takes over; at least 3s",
    ),
    Variable("REPLICA_MAX_LAG", "60s", "lag above which `replica health` warns"),
    Variable(
        "REPLICA_ACCEPTED_DRIFT",
        "",
        "differences that `drift check` and the stream do not report: `schema.table:aspect:name`, comma-separated",
    ),
    Variable(
        "REPLICA_LISTEN",
        "",
        "where `stream` and `transfer` answer HTTP: `address:port` or `unix:/path`; nothing listens if not given",
    ),
    Variable("REPLICA_HTTP_TOKEN_FILE", "", "file with the token that HTTP requests need that change something"),
    Variable("REPLICA_HTTP_TLS_CERT", "", "PEM file with the certificate of the HTTP server, which then speaks TLS"),
    Variable("REPLICA_HTTP_TLS_KEY", "", "PEM file with the key of that certificate"),
    Variable("REPLICA_HTTP_CLIENT_CA", "", "PEM file with the authority that signed the certificates of HTTP clients"),
    Variable("REPLICA_LOG_LEVEL", "INFO", "lowest level that is logged: DEBUG, INFO, WARNING or ERROR"),
    Variable("REPLICA_LOG_FORMAT", "text", "format of a log line: text or json"),
    Variable("REPLICA_PROGRESS", "auto", "progress on stderr: auto (bar on a terminal, else lines), bar, lines or off"),
    Variable("LOCAL_PROJECT_NAME", "naluconcept", "project name, a field of every log record"),
    Variable("GRAYLOG_ENABLED", "false", "send log records to Graylog"),
    Variable("GRAYLOG_ENDPOINT", "localhost:12201", "host:port of Graylog's GELF input"),
    Variable("GRAYLOG_PROTOCOL", "udp", "udp or tcp"),
    Variable("GRAYLOG_TIMEOUT", "5s", "longest wait for Graylog, in a thread of its own"),
    Variable("GRAYLOG_SOURCE", "binlog-sync", "source (host) field of the records"),
)

NAMES = frozenset(v.name for v in VARIABLES)


def variables_table() -> str:
    """Return the table of variables for docs/configuration.md as Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for variable in VARIABLES:
        default = f"`{variable.default}`" if variable.default else ""
        lines.append(f"| `{variable.name}` | {default} | {variable.meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"
