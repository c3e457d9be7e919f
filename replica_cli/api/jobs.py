"""Long work that runs after its request was answered: each job is a thread, which a client asks after by its id."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from replica_cli.api.errors import JobConflict, NotKnown, TooMany, document_of
from replica_cli.core.errors import ExitCode, Interrupted, ReplicaError
from replica_cli.core.reports.failure import Failure
from replica_cli.documents.reports import transfer_progress
from replica_cli.logs import Tag, log
from replica_cli.logs.formats import timestamp
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.api.documents import JobDocument, JobSummary
    from replica_cli.core.status import WorkerStatus
    from replica_cli.documents.shapes import DriftDocument, TransferSummary

    Result = TransferSummary | DriftDocument

logger = logging.getLogger(__name__)

_MOST_RUNNING = 4
_MOST_ENDED = 50


class JobState(StrEnum):
    """What became of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobFailed(ReplicaError):
    """The work of a job ended with a failure, and has a result nevertheless."""

    def __init__(self, failure: Failure, result: Result) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.failure, self.result = failure, result


class Job:
    """One piece of work. It is the reporter of its own progress. Safe between threads."""

    def __init__(
        self, kind: Literal["transfer", "drift"], secondaries: tuple[str, ...], *, can_be_cancelled: bool
    ) -> None:
        self.id = secrets.token_hex(8)
        self.kind: Literal["transfer", "drift"] = kind
        self.stop = StopToken()
        self.can_be_cancelled = can_be_cancelled
        self._secondaries = secondaries
        self._lock = threading.Lock()
        self._started_at = time.time()
        self._ended_at: float | None = None
        self._state = JobState.RUNNING
        self._progress: dict[str, WorkerStatus] = {}
        self._result: Result | None = None
        self._failure: Failure | None = None

    @property
    def is_running(self) -> bool:
        """Return True until the work has ended."""
        return self._state is JobState.RUNNING

    def on_status(self, status: WorkerStatus) -> None:
        """Keep the progress."""
        with self._lock:
            self._progress[status.instance] = status

    def on_note(self, instance: str, message: str) -> None:
        """Log the message: a job has no terminal."""
        log(logger, logging.INFO, Tag.INFO, "job %s: %s", self.id, message, instance=instance or None)

    def on_stopping(self, message: str) -> None:
        """Log the message."""
        self.on_note("", message)

    def run(self, work: Callable[[Job], Result]) -> None:
        """Do the work, and keep its result or its error."""
        result: Result | None = None
        failure: Failure | None = None
        try:
            result = work(self)
        except JobFailed as error:
            result, failure = error.result, error.failure
        except ReplicaError as error:
            failure = Failure.of(error)
        except Exception as error:
            logger.exception("job %s failed", self.id)
            failure = Failure("failure", f"unexpected {type(error).__name__}; the log has it")
        with self._lock:
            self._result, self._failure, self._ended_at = result, failure, time.time()
            self._state = self._ending(failure)

    def _ending(self, failure: Failure | None) -> JobState:
        if failure is None:
            return JobState.DONE
        was_stopped = self.stop.is_set and failure.exit_code is ExitCode.INTERRUPTED
        return JobState.CANCELLED if was_stopped else JobState.FAILED

    @property
    def result(self) -> tuple[str, Result] | None:
        """Return when the job ended and its result, None if it has no result."""
        with self._lock:
            if self._ended_at is None or self._result is None:
                return None
            return timestamp(self._ended_at), self._result

    def forget_result(self) -> None:
        """Free the memory of the result."""
        with self._lock:
            self._result = None

    @property
    def document(self) -> JobDocument:
        """Return the job with its result, as the client sees it."""
        result = self.result
        return {**self.summary, "result": result and result[1]}

    @property
    def summary(self) -> JobSummary:
        """Return the job without its result, which may be large."""
        with self._lock:
            progress = tuple(self._progress.values())
            return {
                "id": self.id,
                "kind": self.kind,
                "state": self._state.value,
                "started_at": timestamp(self._started_at),
                "ended_at": None if self._ended_at is None else timestamp(self._ended_at),
                "secondaries": list(self._secondaries),
                "progress": [
                    {
                        "instance": s.instance,
                        "phase": s.phase.value,
                        "transfer": transfer_progress(s.transfer) if s.transfer else None,
                    }
                    for s in progress
                ],
                "error": document_of(self._failure) if self._failure else None,
            }


class Jobs:
    """The jobs that run, and the last ones that ended. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._threads: list[threading.Thread] = []
        self._stopping_since: float | None = None

    def start(self, job: Job, work: Callable[[Job], Result]) -> None:
        """Start a job in a thread.

        Raises:
            TooMany: too many run, or the system allows no more threads.
            Interrupted: the process ends.

        """
        with self._lock:
            if self._stopping_since is not None:
                raise Interrupted("the process ends, so no job is started")
            if sum(each.is_running for each in self._jobs.values()) >= _MOST_RUNNING:
                raise TooMany(f"{_MOST_RUNNING} jobs run already", hint="wait for one, or cancel one")
            thread = threading.Thread(target=self._run, args=(job, work), name=f"job {job.id}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise TooMany(f"the job was not started: {error}", hint="try again later") from error
            self._jobs[job.id] = job
            ended = [each.id for each in self._jobs.values() if not each.is_running]
            for old in ended[: max(0, len(ended) - _MOST_ENDED)]:
                del self._jobs[old]
            self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def _run(self, job: Job, work: Callable[[Job], Result]) -> None:
        job.run(work)
        if job.kind == "drift" and job.result is not None:
            # A comparison may have millions of differences, and only the newest one is of use.
            for other in self.all():
                if other.kind == "drift" and other is not job:
                    other.forget_result()

    def all(self) -> tuple[Job, ...]:
        """Return the jobs, the newest first."""
        with self._lock:
            return tuple(self._jobs.values())[::-1]

    def get(self, job_id: str) -> Job:
        """Return a job. Raises NotKnown."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotKnown("there is no job with this id", hint="GET /api/v1/jobs lists them")
        return job

    def cancel(self, job_id: str) -> Job:
        """Request the end of a job, and return the job. Raises NotKnown or JobConflict."""
        job = self.get(job_id)
        if not job.is_running:
            raise JobConflict("the job has ended already")
        if not job.can_be_cancelled:
            raise JobConflict("such a job cannot be cancelled: it only reads, and ends by itself")
        if not job.stop.is_set:
            job.stop.request()
        return job

    def last_result(self, kind: str) -> tuple[str, Result] | None:
        """Return the end and the result of the last job of a kind that has a result, None if there is none."""
        for job in self.all():
            if job.kind == kind and (result := job.result) is not None:
                return result
        return None

    def stop(self) -> None:
        """Request the end of all jobs, and start no more."""
        with self._lock:
            self._stopping_since = self._stopping_since or time.monotonic()
            jobs = tuple(self._jobs.values())
        for job in jobs:
            if job.is_running and not job.stop.is_set:
                job.stop.request()

    def end(self, seconds: float) -> None:
        """Request the end of all jobs, and wait for them until this long after the first `stop`."""
        self.stop()
        with self._lock:
            threads = tuple(self._threads)
            until = (self._stopping_since or 0.0) + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
