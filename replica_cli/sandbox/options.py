"""Build the options of sandbox servers. All options are on the command line, and no option file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour, ServerBinary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Options = dict[str, str | int | None]  # None: the option has no value

_COMMON: Options = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": None,
    "log-bin": "binlog",
    "binlog-format": "ROW",
    # A killed process loses nothing that it wrote, because the kernel has it. Only a power cut needs more.
    "sync-binlog": 0,
    "innodb-flush-log-at-trx-commit": 2,
    "innodb-buffer-pool-size": "96M",
    "max-allowed-packet": "64M",
    "performance-schema": "OFF",
    "character-set-server": "utf8mb4",
    "lc-messages": "en_US",
}
_FLAVOURED: dict[Flavour, Options] = {
    Flavour.MARIADB: {"innodb-log-file-size": "32M", "skip-slave-start": None, "plugin-maturity": "unknown"},
    Flavour.MYSQL: {
        "gtid-mode": "ON",
        "enforce-gtid-consistency": "ON",
        "mysqlx": "OFF",
        "innodb-redo-log-capacity": "64M",
        "skip-replica-start": None,
        # The default in packages is a folder that only the package's own set-up makes.
        "secure-file-priv": "NULL",
        # The default of MariaDB. A copy is a third faster with it.
        "local-infile": "ON",
    },
}


def default_options(flavour: Flavour) -> Options:
    """Return the options of all sandbox servers of a flavour: small, fast, row format, only the loopback interface."""
    return {**_COMMON, **_FLAVOURED[flavour]}


def merged(options: Options, others: Mapping[str, str | int | None]) -> Options:
    """Return options in which `others` replace those of the same name. In names `_` and `-` are the same."""
    return {**options, **{name.replace("_", "-"): value for name, value in others.items()}}


def path_options(binary: ServerBinary, folder: Path) -> Options:
    """Return the options for a server's paths below `folder`, as the server knows these paths."""
    return {
        "datadir": binary.inside(folder / "data"),
        "tmpdir": binary.inside(folder / "tmp"),
        "socket": binary.inside(folder / "sock"),
        "pid-file": binary.inside(folder / "pid"),
        "log-error": binary.inside(folder / "error.log"),
    }


def command_words(options: Options) -> list[str]:
    """Return options as words of a command line, in their order. A server uses the last of two values."""
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
