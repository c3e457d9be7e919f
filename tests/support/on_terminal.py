"""The installed command on a pseudo-terminal of 24 lines, and what is on it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

from tests.support.command import COMMAND
from tests.support.terminal import Screen

if TYPE_CHECKING:
    from tests.support.command import Replica


class OnTerminal:
    """A command whose three standard streams are one terminal."""

    def __init__(self, replica: Replica, *words: str, columns: int = 80) -> None:
        self._columns = columns
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {**replica.environment(), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [str(COMMAND), *words], env=environment, cwd=replica.folder, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self, number: int) -> tuple[int, list[str]]:
        """Send a signal; return the exit code, and what is on the terminal then."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._thread.join(10)
        return code, self.lines

    @property
    def lines(self) -> list[str]:
        """Return what is on the terminal now."""
        screen = Screen(self._columns)
        screen.feed(self.text)
        return screen.lines

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._master, f"{text}\n".encode())

    def close(self) -> None:
        """End the command, whatever it does."""
        self.process.kill()
        self.process.wait()
        self._thread.join(10)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # no process has the other end any more
                return
            self.text += data.decode(errors="replace")
