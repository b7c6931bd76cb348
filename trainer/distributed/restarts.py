"""The loss of a training's processes, and whether it starts again from its last checkpoint."""

from typing import Final

LIMIT: Final = 10


class LostWorkerError(RuntimeError):
    """Another worker has ended, or cannot be reached."""


class KilledTrainingError(RuntimeError):
    """The training process ended without an error of its own."""


class Restarts:
    """Counts the restarts of one training.

    Args:
        limit: The largest number of restarts.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._failures: list[int | None] = []

    @property
    def count(self) -> int:
        """The number of restarts so far."""
        return len(self._failures)

    def allow(self, step: int | None, reason: str) -> None:
        """Counts one more restart.

        Args:
            step: The number of steps that were finished when processes were lost; None while they were starting.
            reason: Which process was lost, and why.

        Raises:
            RuntimeError: The training should end: the limit is reached, or the step is that of the failure before. (The
                processes may be one step apart when one of them fails.)
        """
        if self._failures and _is_same(step, self._failures[-1]):
            where = "while the processes were starting" if step is None else f"after step {step}"
            raise RuntimeError(f"{reason}, {where}, where training had failed before: it is not started again")
        if self.count == self._limit:
            raise RuntimeError(f"{reason}. Training had been started again {self._limit} times, which is the limit")
        self._failures.append(step)


def _is_same(step: int | None, other: int | None) -> bool:
    return step is other if step is None or other is None else abs(step - other) <= 1
