"""The state of a training on disk: a run that was killed goes on where it was."""

import math
import posixpath
from collections.abc import Mapping

import tensorflow as tf

from trainer.model import RecommenderModel
from trainer.optimizers import Optimizer

_KEPT = 2
"""A checkpoint is complete before the one before it goes."""


class TrainingState:
    """Weights, optimizer and counters, saved together; the best epoch's weights besides.

    Args:
        folder: where they are kept. None: nothing is saved.
        model: with its weights made.
        optimizer: with its slots made.
        extras: what else has a state, by name.
        is_writer: whether this process saves and removes; one of several workers only restores what the chief saved.

    Attributes:
        epoch: finished epochs, int64.
        best: the best epoch's metric, NaN before the first, float64.
        best_epoch: counted from 1, int64.
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
        counters = {"epoch": self.epoch, "best": self.best, "best_epoch": self.best_epoch}
        self._folder, self._is_writer = folder, is_writer
        checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, **counters, **extras)
        self._last = _manager(checkpoint, folder, "last")
        self._best = _manager(tf.train.Checkpoint(model=model), folder, "best")

    def restore(self) -> bool:
        """Goes back to what was saved last; whether there was anything."""
        return self._last.restore_or_initialize() is not None

    def save(self) -> None:
        """Saves everything."""
        if self._is_writer:
            self._last.save(self.epoch)

    def save_best(self, metric: float) -> None:
        """Saves the weights as the best so far."""
        self.best.assign(metric)
        self.best_epoch.assign(self.epoch)
        if self._is_writer:
            self._best.save(self.epoch)

    def restore_best(self) -> None:
        """Gives the model the best epoch's weights."""
        saved = tf.train.latest_checkpoint(self._best.directory)  # the manager does not know what another process saved
        if saved is not None:
            self._best.checkpoint.restore(saved)

    def remove(self) -> None:
        """Removes the folder."""
        if tf.io.gfile.exists(self._folder):
            tf.io.gfile.rmtree(self._folder)


def _manager(checkpoint: tf.train.Checkpoint, folder: str, name: str) -> tf.train.CheckpointManager:
    return tf.train.CheckpointManager(checkpoint, posixpath.join(folder, name), _KEPT, checkpoint_name=name)
