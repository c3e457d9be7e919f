"""Make an initialised data folder once for each server version, and copy it for each server."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.sandbox.binaries import Flavour, ServerBinary, cache_folder
from replica_cli.sandbox.options import command_words, default_options, merged, path_options
from replica_cli.sandbox.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

USER = "replica"
PASSWORD = "replica"  # noqa: S105  a throw-away server on the loopback interface

_LAYOUT = 1  # raise it when the initialisation changes, so that old templates are not used
_SYSTEM_SQL = ("system_tables", "performance_tables", "system_tables_data", "add_gis_sp_bootstrap", "sys_schema")
_PATIENCE_SECONDS = 120.0
# MariaDB's initialisation makes an account without a name, which would catch logins for other accounts.
_ACCOUNTS = f"""\
CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;
DROP USER IF EXISTS ''@'localhost';
SHUTDOWN;
"""


def data_template(binary: ServerBinary) -> Path:
    """Return an initialised data folder, and make it if it does not exist. Several processes can do this at once."""
    template = cache_folder() / "replica" / "templates" / f"{binary.flavour}-{binary.version}-{_LAYOUT}"
    if not template.is_dir():
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="replica-template-", dir=binary.temporary_folder) as folder:
            _initialise(binary, Path(folder))
            _publish(Path(folder, "data"), template)
    return template


def copy_template(binary: ServerBinary, data: Path) -> None:
    """Make the data folder `data` for one server, as a copy of the template."""
    shutil.copytree(data_template(binary), data)


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, or an empty text if there is no log."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _publish(data: Path, template: Path) -> None:
    # It is copied into a folder next to the final path and then renamed, so that no process sees half a template.
    staging = Path(tempfile.mkdtemp(prefix=f".{template.name}-", dir=template.parent))
    try:
        shutil.copytree(data, staging, dirs_exist_ok=True)
        with contextlib.suppress(OSError):  # another process was first, and its template is the same
            staging.rename(template)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _initialise(binary: ServerBinary, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    # No binary log, so that the first transaction in a server's log is the first one of its user.
    options = merged(default_options(binary.flavour), {"skip-log-bin": None, "skip-networking": None})
    options = {**options, **path_options(binary, folder)}
    if os.geteuid() == 0:
        options["user"] = "root"
    words = [*binary.command(binary.path), "--no-defaults", *command_words(options)]
    if binary.flavour is Flavour.MYSQL:
        _run([*words, "--initialize-insecure"], binary, folder)
    else:
        _bootstrap(binary, folder, words)
    _make_accounts(binary, folder, words)
    # It holds the server's UUID. Each copy must make its own.
    (folder / "data" / "auto.cnf").unlink(missing_ok=True)


def _bootstrap(binary: ServerBinary, folder: Path, words: Sequence[str]) -> None:
    # These are the steps of mariadb-install-db, which itself needs programs from other packages than the server's.
    if binary.share is None:
        raise ReplicaError(f"{binary}: the SQL files that come with {binary.path} are missing")
    share = binary.outside(binary.share)
    script = folder / "bootstrap.sql"
    with script.open("wb") as sink:
        sink.write(b"create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n")
        for part in _SYSTEM_SQL:
            # Version 10 calls them mysql_…, version 11 mariadb_….
            for path in share.glob(f"m*_{part}.sql"):
                lines = path.read_bytes().splitlines(keepends=True)
                # No accounts for the name of this machine, because the template is not bound to one.
                sink.writelines(line for line in lines if b"@current_hostname" not in line)
    (folder / "data").mkdir()
    _run([*words, "--bootstrap"], binary, folder, source=script)


def _make_accounts(binary: ServerBinary, folder: Path, words: Sequence[str]) -> None:
    # With a full start of the server: it works for both flavours, and the log files get their final size.
    accounts = folder / "accounts.sql"
    accounts.write_text(_ACCOUNTS)
    _run([*words, f"--init-file={binary.inside(accounts)}"], binary, folder)


def _run(words: list[str], binary: ServerBinary, folder: Path, *, source: Path = Path(os.devnull)) -> None:
    output = folder / "output.log"
    process = ServerProcess(words, output, source=source)
    if not process.has_ended_within(_PATIENCE_SECONDS) or process.exit_code != 0:
        process.kill()
        report = "\n".join((tail(output), tail(folder / "error.log")))
        raise ReplicaError(f"{binary}: no data folder could be initialised:\n{report}")
