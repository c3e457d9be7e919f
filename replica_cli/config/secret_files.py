"""Reads secrets from files, and warns of files with secrets that every user of the machine can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.config.layers import Findings


def read_secret(path: str, label: str, findings: Findings) -> str:
    """Return the text of a file without the line ends at its end; "" with a problem if it cannot be used.

    Args:
        path: the file.
        label: the variable, or the place in a file, that names it.
        findings: takes the problem, or the warning about the rights of the file.

    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except OSError as error:
        findings.complain(label, f"{path}: {error.strerror or type(error).__name__}")
        return ""
    except UnicodeDecodeError:
        findings.complain(label, f"{path}: is not UTF-8 text")
        return ""
    except ValueError:  # a NUL in the path
        findings.complain(label, "names a file that cannot exist: its name holds a NUL, or is not UTF-8 text")
        return ""
    if not text:
        findings.complain(label, f"{path}: is empty")
    if "\0" in text:
        findings.complain(label, f"{path}: holds a NUL: save it as UTF-8 text")
        return ""
    if warning := warn_of_readers(Path(path)):
        findings.warnings.append(f"{label}: {warning}")
    return text


def warn_of_readers(path: Path) -> str | None:
    """Return a warning if every user of the machine can read or change a file with secrets, else None.

    There is no warning on a read-only file system, such as that of a container's secrets, because chmod fails there.
    There is none either if the file is in a folder that other users may not enter.
    """
    try:
        mode = path.stat().st_mode
        is_fixed = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        is_reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)
    except OSError:
        return None
    others = mode & (stat.S_IROTH | stat.S_IWOTH)
    if not stat.S_ISREG(mode) or is_fixed or not others or not is_reachable:
        return None
    import shlex  # noqa: PLC0415 - loaded only for this warning

    verb, command = "read" if others == stat.S_IROTH else "change", f"chmod o-rwx {shlex.quote(str(path))}"
    return f"{path}: every user of this machine can {verb} it, and it holds a secret: run `{command}`"
