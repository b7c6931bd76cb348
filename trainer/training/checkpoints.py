"""Checkpoints: the state of a training on disk, so that a run that was killed is resumed."""

import json
import math
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import tensorflow as tf
from absl import logging

from trainer.model.recommender import RecommenderModel
from trainer.training.optimizers import Optimizer

_KEPT: Final = 2
"""A checkpoint is complete before the previous one is removed."""
_DAMAGES: Final = (tf.errors.OpError, LookupError, ValueError, RuntimeError)
"""Raised by TensorFlow's reader for files that are truncated, empty or hold other bytes."""


class CheckpointFiles:
    """The numbered checkpoints of a folder, each in the files `<name>-<number>.index` and `<name>-<number>.data-*`.

    Unlike tf.train.CheckpointManager it keeps no file of its own that lists them and could be damaged: checkpoints are
    found by their names, and the newest undamaged one is read.

    Args:
        checkpoint: The saved objects.
        folder: Need not exist.
        name: Of the files.
        warn: Called with a sentence for each damaged checkpoint that is skipped.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: str, name: str, warn: Callable[[str], None]) -> None:
        self._checkpoint, self._folder, self._name, self._warn = checkpoint, folder, name, warn

    def save(self, number: int) -> None:
        """Writes a checkpoint, then removes all but the newest two."""
        tf.io.gfile.makedirs(self._folder)
        self._checkpoint.write(self._prefix(number))
        for old in self.numbers()[_KEPT:]:
            for file in self._files(old):
                tf.io.gfile.remove(file)

    def numbers(self) -> list[int]:
        """Returns the numbers of the checkpoints that have files, the newest first."""
        if not tf.io.gfile.exists(self._folder):
            return []
        pattern = re.compile(re.escape(self._name) + r"-(\d+)\.(index|data-.*)")
        found = (pattern.fullmatch(name.rstrip("/")) for name in tf.io.gfile.listdir(self._folder))
        return sorted({int(match[1]) for match in found if match}, reverse=True)

    def restore(self, at_most: int | None = None) -> int | None:
        """Reads the newest undamaged checkpoint; a checkpoint is read once as a whole before any variable is changed.

        Args:
            at_most: The largest number that is considered. None: any.

        Returns:
            Its number; None where there is none.
        """
        for number in self.numbers():
            if (at_most is None or number <= at_most) and self.is_whole(number):
                self._checkpoint.read(self._prefix(number)).expect_partial()
                return number
        return None

    def is_whole(self, number: int) -> bool:
        """Returns whether there is a checkpoint and its checksums are right; warns of a damaged one."""
        if number not in self.numbers():
            return False
        file = f"{self._prefix(number)}.index"
        try:
            reader = tf.train.load_checkpoint(self._prefix(number))
            file = next((f for f in self._files(number) if f != file), f"{self._prefix(number)}.data-*")
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except _DAMAGES as error:
            fault = str(getattr(error, "message", error)).splitlines()[0]
            self._warn(
                f"the checkpoint {file} is damaged ({fault}): it was passed over, nothing has to be done. "
                "Should it happen again, look at the disk and the space left on it"
            )
            return False
        return True

    def _files(self, number: int) -> list[str]:
        return sorted(tf.io.gfile.glob(f"{self._prefix(number)}.*"))

    def _prefix(self, number: int) -> str:
        return posixpath.join(self._folder, f"{self._name}-{number}")


class TrainingState:
    """Weights, optimizer and counters, saved together; beside them the best epoch's weights, and those at the end.

    Args:
        folder: Of the checkpoints.
        model: With its weights.
        optimizer: With its slots.
        extras: Other objects with a state, by name.
        is_writer: Whether this process saves and removes; the other workers only restore what the chief saved.

    Attributes:
        epoch: The number of finished epochs, int64.
        best: The best epoch's metric, NaN before the first, float64.
        best_epoch: Counted from 1, int64.
        has_lost_best: Whether the best epoch's weights were damaged when all else was restored; `best` and `best_epoch`
            are then those of an earlier epoch whose weights are undamaged, or the initial values.
        warnings: About damaged files, in sentences.
        epoch_losses: Restored with all else: the sums of the losses over the steps of the epoch that was under way.
    """

    def __init__(
        self,
        folder: str,
        model: RecommenderModel,
        optimizer: Optimizer,
        extras: Mapping[str, tf.Module],
        is_writer: bool = True,
    ) -> None:
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False, name="epoch")
        self.best = tf.Variable(math.nan, dtype=tf.float64, trainable=False, name="best")
        self.best_epoch = tf.Variable(0, dtype=tf.int64, trainable=False, name="best_epoch")
        self.has_lost_best = False
        self.warnings: list[str] = []
        self.epoch_losses: Mapping[str, float] = {}
        self._folder, self._is_writer = folder, is_writer
        self._result = tf.Variable("", dtype=tf.string, trainable=False, name="result")
        self._losses = tf.Variable("{}", dtype=tf.string, trainable=False, name="epoch_losses")
        best = {"best": self.best, "best_epoch": self.best_epoch}
        counters = {"epoch": self.epoch, "epoch_losses": self._losses}
        last = tf.train.Checkpoint(model=model, optimizer=optimizer, **counters, **best, **extras)
        self._last = self._files(last, "last")
        self._best = self._files(tf.train.Checkpoint(model=model, **best), "best")
        self._trained = self._files(
            tf.train.Checkpoint(model=model, optimizer=optimizer, result=self._result), "trained"
        )
        self._best_metrics = self._files(tf.train.Checkpoint(**best), "best")

    def restore(self) -> bool:
        """Restores the newest undamaged state; returns whether there was one."""
        if self._last.restore() is None:
            if self._last.numbers():
                self._warn(f"no checkpoint in {posixpath.join(self._folder, 'last')} is whole: training began anew")
            return False
        self.epoch_losses = json.loads(self._losses.numpy())
        best_epoch = int(self.best_epoch)
        self.has_lost_best = best_epoch > 0 and not self._best.is_whole(best_epoch)
        if self.has_lost_best:
            self._forget_best()
            self._best_metrics.restore(at_most=best_epoch - 1)
        return True

    def save(self, step: int, epoch_losses: Mapping[str, float] | None = None) -> None:
        """Saves everything.

        Args:
            step: The number of finished steps.
            epoch_losses: See the attribute; None after the last step of an epoch.
        """
        if self._is_writer:
            self._losses.assign(json.dumps(epoch_losses or {}))
            self._last.save(step)

    def save_best(self, metric: float) -> None:
        """Saves the weights as the best so far."""
        self.best.assign(metric)
        self.best_epoch.assign(self.epoch)
        if self._is_writer:
            self._best.save(int(self.epoch))

    def restore_best(self) -> None:
        """Restores the best epoch's weights, those of an earlier one where they are damaged."""
        best_epoch = int(self.best_epoch)
        if best_epoch and self._best.restore(at_most=best_epoch) is None:
            self._warn("the last epoch's weights are used in place of the best epoch's, whose checkpoints are damaged")
            self._forget_best()

    def save_trained(self, result: Mapping[str, Any]) -> None:
        """Saves weights and slots at the end of training, and its result: values that JSON holds."""
        self._result.assign(json.dumps(result))
        if self._is_writer:
            self._trained.save(int(self.epoch))

    def restore_trained(self) -> dict[str, Any] | None:
        """Restores the weights at the end of training and returns its result; None where it has not ended."""
        return None if self._trained.restore() is None else json.loads(self._result.numpy())

    def remove(self) -> None:
        """Removes the folder."""
        if tf.io.gfile.exists(self._folder):
            tf.io.gfile.rmtree(self._folder)

    def _forget_best(self) -> None:
        self.best.assign(math.nan)
        self.best_epoch.assign(0)

    def _files(self, checkpoint: tf.train.Checkpoint, name: str) -> CheckpointFiles:
        return CheckpointFiles(checkpoint, posixpath.join(self._folder, name), name, self._warn)

    def _warn(self, warning: str) -> None:
        logging.warning("%s", warning)
        self.warnings.append(warning)
