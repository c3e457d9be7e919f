"""How sandbox servers are configured: everything said on the command line, no option file read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour, ServerBinary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Options = dict[str, str | int | None]  # None: the option stands without a value

_COMMON: Options = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": None,
    "log-bin": "binlog",
    "binlog-format": "ROW",
    # A killed process loses nothing that it wrote: the kernel has it. Only a power cut needs more.
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
        # The packaged default is a folder that only the package's own set-up makes.
        "secure-file-priv": "NULL",
        # As MariaDB has it: a copy is a third faster with it.
        "local-infile": "ON",
    },
}


def default_options(flavour: Flavour) -> Options:
    """Return what every sandbox server of a flavour is started with: small, quick, row format, loopback only."""
    return {**_COMMON, **_FLAVOURED[flavour]}


def merged(options: Options, others: Mapping[str, str | int | None]) -> Options:
    """Return options with others laid over them; `_` and `-` in names are the same."""
    return {**options, **{name.replace("_", "-"): value for name, value in others.items()}}


def place_options(binary: ServerBinary, folder: Path) -> Options:
    """Return where a server keeps its things below its own folder, in its own spelling."""
    return {
        "datadir": binary.inside(folder / "data"),
        "tmpdir": binary.inside(folder / "tmp"),
        "socket": binary.inside(folder / "sock"),
        "pid-file": binary.inside(folder / "pid"),
        "log-error": binary.inside(folder / "error.log"),
    }


def command_words(options: Options) -> list[str]:
    """Return options as words of a command line, in their order: the server lets the last of two win."""
    return [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
