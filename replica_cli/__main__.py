"""Run the command line: `replica`, or `python -m replica_cli`."""

import gc
import os
import signal
import sys

# Loading makes many objects and hardly any garbage. At Python's own pace, each 700 objects, the collector looks through
# them again and again: a tenth of what a short command costs.
_YOUNG_OBJECTS = 50_000


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    try:
        _run()
    finally:
        # What is left at the end is memory, which goes with the process: the interpreter would look through it several
        # times.
        gc.freeze()


def _run() -> None:
    _hold_standard_descriptors()
    if sys.argv[1:2] == ["stream"] and not {"--help", "-h"} & set(sys.argv):
        # They ask something of a stream: what it is asked before it can hear is no reason to die.
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        # A worker takes as long to come up as the command line itself: both at once, after what both need.
        import replica_cli.config  # noqa: PLC0415 - no other command needs it here
        import replica_cli.service.stream  # noqa: F401, PLC0415 - as above
        from replica_cli.supervisor.spawning import fork_ahead  # noqa: PLC0415 - as above

        pipe = fork_ahead()
        if pipe is not None:
            from replica_cli.worker.process import work  # noqa: PLC0415 - the supervisor needs nothing of it

            work(pipe)
            return
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
