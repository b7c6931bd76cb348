"""A training with other processes of this machine, started again when one of them is lost: alone, or all together."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from config.local_cluster import LocalCluster, Task
from config.progress import say
from trainer.distributed.processes import LOST, RoleProcess, loopback_addresses, tf_config
from trainer.distributed.restarts import KilledTrainingError, LostWorkerError, Restarts
from trainer.distributed.training_process import Progress, TrainingProcess

_POLL_SECONDS: Final = 0.2
_REASON_SECONDS: Final = 5.0
"""How long to wait for the process that failed first, or for the chief's own error."""
_LEAVE_SECONDS: Final = 10.0
"""How long the others may take to end after the training."""

Train = Callable[[Progress], None]
"""What the chief's training process does; see `TrainingProcess`."""


@dataclass(frozen=True)
class Program:
    """The program of a role's processes.

    Attributes:
        command: The program and its arguments. Its exit code `LOST` says that it ended because another process had.
        is_server: Whether it runs until it is ended, instead of ending with the training.
        is_replaceable: Whether the training goes on while another process takes the place of one that was lost.
    """

    command: Sequence[str]
    is_server: bool = False
    is_replaceable: bool = False


def train_with_restarts(train: Train, cluster: LocalCluster, programs: Mapping[str, Program]) -> None:
    """Trains with processes that are started here, again and again until the training is done.

    Training does not survive the loss of a process that is not replaceable, so all start again, on other ports.

    Args:
        train: The chief's part. It restores the last checkpoint.
        cluster: Which processes there are.
        programs: By role, the programs of the others.

    Raises:
        RuntimeError: Processes were lost more often than `Restarts` allows.
        Exception: Whatever `train` raised otherwise.
    """
    restarts = Restarts()
    while failure := _attempt(train, cluster, programs):
        restarts.allow(failure.step, failure.reason)
        say(f"{failure.reason}: all processes start again from the last checkpoint (restart {restarts.count})")


@dataclass(frozen=True)
class _Failure:
    """The loss of a process, and the number of steps that were finished by then, None before the first."""

    reason: str
    step: int | None


def _attempt(train: Train, cluster: LocalCluster, programs: Mapping[str, Program]) -> _Failure | None:
    """Trains once; returns how it failed, None where it did not."""
    addresses = loopback_addresses(cluster)
    with ExitStack() as stack:

        def started(task: Task) -> RoleProcess:
            return stack.enter_context(RoleProcess(task, programs[task[0]].command, tf_config(addresses, task)))

        training = stack.enter_context(TrainingProcess(train, tf_config(addresses, cluster.chief)))
        others = [started(task) for task in cluster.others if not programs[task[0]].is_replaceable]
        replaced = [_Replaceable(task, started) for task in cluster.others if programs[task[0]].is_replaceable]
        while not training.wait(_POLL_SECONDS):
            if training.progress.is_trained:
                continue
            if lost := _first_lost(others):
                return _failure_of(lost, training)
            for replaceable in replaced:
                replaceable.replace_if_lost(training.progress.step)
        try:
            training.check()
        except (LostWorkerError, KilledTrainingError) as error:
            return _Failure(_first_reason(others, error), training.progress.step)
        for process in others:
            if not programs[process.role].is_server:
                process.wait(_LEAVE_SECONDS)
        return None


class _Replaceable:
    """A process in whose place another one starts when it is lost, on the same port.

    Args:
        task: Its role and index.
        start: Starts a process of the task.
    """

    def __init__(self, task: Task, start: Callable[[Task], RoleProcess]) -> None:
        self._task, self._start = task, start
        self._process = start(task)
        self._losses = Restarts()

    def replace_if_lost(self, step: int | None) -> None:
        """Starts another process where this one has ended; `step` is the number of steps that were finished.

        Raises:
            RuntimeError: It was lost more often than `Restarts` allows.
        """
        if self._process.code is None:
            return
        reason = self._process.reason()
        self._losses.allow(step, reason)
        say(f"{reason}: another takes its place, and the training goes on")
        self._process = self._start(self._task)


def _first_lost(processes: list[RoleProcess]) -> RoleProcess | None:
    """Returns a process that ended without success, rather one that did not end because another had."""
    ended = [process for process in processes if process.code]
    return min(ended, key=lambda process: process.code == LOST, default=None)


def _failure_of(lost: RoleProcess, training: TrainingProcess) -> _Failure:
    """Describes the loss of a process. Raises the chief's own error, which the process may have had as well."""
    failure = _Failure(lost.reason(), training.progress.step)
    if not lost.was_killed and training.wait(_REASON_SECONDS):
        with suppress(LostWorkerError, KilledTrainingError):
            training.check()
    return failure


def _first_reason(others: list[RoleProcess], error: RuntimeError) -> str:
    """Returns why another process ended, where one of them is why the chief's training has."""
    end = time.monotonic() + _REASON_SECONDS
    while isinstance(error, LostWorkerError) and time.monotonic() < end:
        if (lost := _first_lost(others)) and lost.code != LOST:
            return lost.reason()
        time.sleep(_POLL_SECONDS)
    return str(error)
