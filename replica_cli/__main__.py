"""Run the command line: `replica`, or `python -m replica_cli`.

`replica stream` forks its first worker process at once; all other commands run in this process.
"""

import gc
import os
import signal
import sys

# Loading creates many objects and hardly any garbage. At Python's default, each 700 objects, the collector checks them
# again and again: a tenth of the time of a short command.
_YOUNG_OBJECTS = 200_000


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    try:
        _run()
    finally:
        # The memory that is left is freed with the process. Without this the interpreter would check its objects
        # several times.
        gc.freeze()


def _run() -> None:
    _open_standard_descriptors()
    if sys.argv[1:2] == ["stream"] and not {"--help", "-h"} & set(sys.argv):
        # These signals request something of a stream. A request that comes before the stream has handlers must not end
        # it.
        for number in (signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        # A worker takes as long to start as the command line itself. Both start at the same time, after the modules
        # that both need are loaded.
        import replica_cli.service.stream  # noqa: F401, PLC0415 - no other command needs it at this point
        from replica_cli.config.service_variables import take_service_variables  # noqa: PLC0415 - as above
        from replica_cli.supervisor.spawning import fork_ahead  # noqa: PLC0415 - as above

        pipe = fork_ahead()
        if pipe is not None:
            from replica_cli.worker.process import work  # noqa: PLC0415 - the supervisor does not need it

            take_service_variables()  # they are the supervisor's
            work(pipe)
            return
    from replica_cli.cli.app import main as run  # noqa: PLC0415 - this import takes long, and a worker does not need it

    run()


def _open_standard_descriptors() -> None:
    """Open /dev/null for closed standard descriptors: otherwise a socket gets the number, and the command's output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The new file gets the lowest free number. That is this one, because the numbers below it were checked
            # before.
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
