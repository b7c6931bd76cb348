"""A training with other processes of this machine, started again as a whole when one of them is lost."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from config.local_cluster import LocalCluster
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
Commands = Mapping[str, Sequence[str]]
"""By role, the program of its processes. Its exit code `LOST` says that it ended because another process had."""


def train_with_restarts(train: Train, cluster: LocalCluster, commands: Commands) -> None:
    """Trains with processes that are started here, again and again until the training is done.

    Synchronous training does not survive the loss of a process, so all of them start again, on other ports.

    Args:
        train: The chief's part. It restores the last checkpoint.
        cluster: Which processes there are.
        commands: The programs of the others.

    Raises:
        RuntimeError: Processes were lost more often than `Restarts` allows.
        Exception: Whatever `train` raised otherwise.
    """
    restarts = Restarts()
    while failure := _attempt(train, cluster, commands):
        restarts.allow(failure.step, failure.reason)
        say(f"{failure.reason}: all processes start again from the last checkpoint (restart {restarts.count})")


@dataclass(frozen=True)
class _Failure:
    """The loss of a process, and the number of steps that were finished by then, None before the first."""

    reason: str
    step: int | None


def _attempt(train: Train, cluster: LocalCluster, commands: Commands) -> _Failure | None:
    """Trains once; returns how it failed, None where it did not."""
    addresses = loopback_addresses(cluster)
    with ExitStack() as stack:
        training = stack.enter_context(TrainingProcess(train, tf_config(addresses, cluster.chief)))
        others = [
            stack.enter_context(RoleProcess(task, commands[task[0]], tf_config(addresses, task)))
            for task in cluster.others
        ]
        while not training.wait(_POLL_SECONDS):
            if not training.progress.is_trained and (lost := _first_lost(others)):
                return _failure_of(lost, training)
        try:
            training.check()
        except (LostWorkerError, KilledTrainingError) as error:
            return _Failure(_first_reason(others, error), training.progress.step)
        for process in others:
            process.wait(_LEAVE_SECONDS)
        return None


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
