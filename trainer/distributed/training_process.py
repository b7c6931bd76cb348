"""The chief's training in a process of its own, which counts its steps and reports its end."""

import os
import threading
import traceback
from collections.abc import Callable
from ctypes import c_bool, c_int64
from multiprocessing import connection, get_context, parent_process
from typing import Any, Final, Self

from config.cluster import VARIABLE
from trainer.distributed.restarts import KilledTrainingError

_STARTING: Final = -1
_LEAVE_SECONDS: Final = 30
"""How long a process whose training is done may take to leave the cluster."""
_SPAWN: Final = get_context("spawn")


class Progress:
    """How far a training in another process has come."""

    def __init__(self) -> None:
        self._step: Any = _SPAWN.Value(c_int64, _STARTING, lock=False)
        self._is_trained: Any = _SPAWN.Value(c_bool, False, lock=False)

    def report(self, step: int) -> None:
        """Sets the number of finished steps."""
        self._step.value = step

    def end(self) -> None:
        """Marks the training as done: what is left, such as the export, needs no other process."""
        self._is_trained.value = True

    @property
    def step(self) -> int | None:
        """The number of finished steps; None before the process has joined the others."""
        step = int(self._step.value)
        return None if step == _STARTING else step

    @property
    def is_trained(self) -> bool:
        """Whether the training is done."""
        return bool(self._is_trained.value)


class TrainingProcess:
    """A process for a function; it ends with the block, and with this process.

    TensorFlow has to join a cluster before its first operation, and other components have used it in this process.

    Args:
        train: Of a module's top level, or a partial of such: it is sent to the process.
        tf_config: The variable `TF_CONFIG` of the process.

    Attributes:
        progress: Of the training.
    """

    def __init__(self, train: Callable[[Progress], None], tf_config: str) -> None:
        self.progress = Progress()
        self._is_done = False
        self._result, sender = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(target=_run, args=(train, tf_config, sender, self.progress), daemon=True)
        with sender:  # the process has its own end
            self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_done:
            self._process.join(_LEAVE_SECONDS)
        self._process.kill()
        self._process.join()
        self._result.close()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the end of the training, so many seconds at most; returns whether it has ended."""
        return bool(connection.wait([self._process.sentinel, self._result], seconds))

    def check(self) -> None:
        """Waits for the end of the training and raises what ended it, if it did not finish.

        Raises:
            KilledTrainingError: The process was killed.
            Exception: Whatever the training raised.
        """
        try:
            error = self._result.recv()
        except EOFError as ended:
            self._process.join()
            code = self._process.exitcode
            raise KilledTrainingError(f"the chief's training process ended with code {code}") from ended
        if error is not None:
            raise error
        self._is_done = True


def _run(train: Callable[[Progress], None], tf_config: str, result: Any, progress: Progress) -> None:
    """Trains in a new process, and sends None to `result`, or the error."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ[VARIABLE] = tf_config
    try:
        train(progress)
    except Exception as error:
        traceback.print_exc()
        result.send(error)
    else:
        result.send(None)


def _end_with_parent() -> None:
    """Ends this process when its parent ends, since it would keep the port that the next training needs."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
