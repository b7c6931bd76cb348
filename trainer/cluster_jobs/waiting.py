"""Submits a job and waits for its end, whatever the cluster."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeVar

from config.progress import ProgressLine, say

PATIENCE_SECONDS: Final = 300.0
"""How long the cluster's API may be silent."""
_POLL_SECONDS: Final = 2.0
_SIGTERM_CODE: Final = 128 + signal.SIGTERM

Answer = TypeVar("Answer")


class ClusterJobError(RuntimeError):
    """The job failed or could not be submitted. The message names the job, worker, reason and last lines."""


class SilentApiError(Exception):
    """The cluster's API did not answer, or with an error that may pass."""


@dataclass(frozen=True)
class JobState:
    """What a job does at the moment.

    Attributes:
        phase: `queued` while it may not start yet, then `waiting` until every worker has started.
        note: Why it failed; otherwise what keeps it from running, or "".
    """

    phase: Literal["queued", "waiting", "running", "succeeded", "failed"]
    note: str = ""


class ClusterJob(Protocol):
    """A job that this process submits. Its text names it, such as "TrainJob shop-1a2b"."""

    def submit(self) -> str:
        """Creates the job, or attaches to the unfinished one that an earlier try of this step has created.

        Returns:
            Which of both, for the log.

        Raises:
            ClusterJobError: The cluster refuses it.
            SilentApiError: No answer.
        """

    def state(self) -> JobState:
        """Returns what the job does, and prints what its workers have printed since. Raises `SilentApiError`."""

    def delete(self) -> None:
        """Ends the job and all of its workers. Raises `SilentApiError`."""


def run_job(
    job: ClusterJob, start_seconds: float, poll_seconds: float = _POLL_SECONDS, patience: float = PATIENCE_SECONDS
) -> None:
    """Submits a job and returns when it has succeeded.

    When this process is interrupted, also by SIGTERM, the job is deleted. A job that failed is kept, with its pods.

    Args:
        job: The job.
        start_seconds: How long its workers may take to start.
        poll_seconds: The pause between two looks at it.
        patience: How many seconds the cluster's API may be silent.

    Raises:
        ClusterJobError: The job failed, its workers did not start in time, or the API was silent for too long.
    """
    with _terminated_by_exception():
        try:
            silence = _Silence(job, patience)
            while (submitted := silence.answer(job.submit)) is None:
                time.sleep(poll_seconds)
            say(f"{job} is {submitted}")
            _wait(job, silence, start_seconds, poll_seconds)
        except (KeyboardInterrupt, SystemExit):
            _delete(job, "this step was interrupted")
            raise
        _delete(job, "")


def _wait(job: ClusterJob, silence: "_Silence", start_seconds: float, poll_seconds: float) -> None:
    begin, has_started, said = time.monotonic(), False, ""
    while True:
        if (state := silence.answer(job.state)) is not None:
            has_started |= state.phase not in ("queued", "waiting")
            if state.phase == "queued":
                begin = time.monotonic()  # a queue may be long
            if state.phase == "failed":
                raise ClusterJobError(f"{job} failed: {state.note}")
            if state.phase == "succeeded":
                return
            if not has_started and time.monotonic() - begin > start_seconds:
                _delete(job, "its workers did not start")
                reason = state.note or "the cluster gives no reason"
                raise ClusterJobError(f"{job} has not started within {start_seconds / 60:g} minutes: {reason}")
            if state.note != said:
                said = state.note
                print(ProgressLine(f"{job}: {said or 'its workers run'}", is_lasting=False), flush=True)
        time.sleep(poll_seconds)


class _Silence:
    """How long the API has been silent."""

    def __init__(self, job: ClusterJob, patience: float) -> None:
        self._job, self._patience = job, patience
        self._since: float | None = None

    def answer(self, ask: Callable[[], Answer]) -> Answer | None:
        """Returns what the API answers, None where it is silent. Raises `ClusterJobError` after too long a silence."""
        try:
            answer = ask()
        except SilentApiError as error:
            if self._since is None:
                self._since = time.monotonic()
                say(f"{self._job}: the cluster does not answer, and is asked again: {error}")
            silent = time.monotonic() - self._since
            if silent > self._patience:
                raise ClusterJobError(
                    f"{self._job}: the cluster has not answered for {silent:.0f} s: {error}. A job that was submitted"
                    " goes on, and this step attaches to it when it is run again"
                ) from error
            return None
        self._since = None
        return answer


def _delete(job: ClusterJob, reason: str) -> None:
    """Deletes the job, and says so where it was not finished."""
    try:
        job.delete()
    except (SilentApiError, ClusterJobError) as error:
        say(f"{job} could not be deleted: {error}")
    else:
        if reason:
            say(f"{job} is deleted: {reason}")


@contextmanager
def _terminated_by_exception() -> Iterator[None]:
    """Turns SIGTERM into `SystemExit` inside, so that what was begun is undone. Other threads cannot handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:
        raise SystemExit(_SIGTERM_CODE)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        with suppress(TypeError):  # a handler that was not set from Python
            signal.signal(signal.SIGTERM, before)
