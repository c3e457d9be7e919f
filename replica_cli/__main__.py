"""Run the command line: `replica`, or `python -m replica_cli`."""

import os
import signal
import sys


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    _hold_standard_descriptors()
    if sys.argv[1:2] == ["stream"] and not {"--help", "-h"} & set(sys.argv):
        # They ask something of a stream: what it is asked before it can hear is no reason to die.
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        # A worker takes as long to come up as the command line itself: both at once.
        from replica_cli.service.spawning import spawn_ahead  # noqa: PLC0415 - no other command needs it

        spawn_ahead()
    from replica_cli.cli.app import main as run  # noqa: PLC0415 - as above: this is what takes long

    run()


def _hold_standard_descriptors() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed: the next socket would get its number, and our texts."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is the one that is closed: those below it were looked at before.
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
