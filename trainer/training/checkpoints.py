"""The state of a training on disk: a run that was killed goes on where it was."""

import json
import math
import posixpath
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from trainer.model.recommender import RecommenderModel
from trainer.training.checkpoint_files import CheckpointFiles
from trainer.training.optimizers import Optimizer


class TrainingState:
    """Weights, optimizer and counters, saved together; besides them the best epoch's weights, and those at the end.

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
        has_lost_best: whether the best epoch's weights were damaged when all else was restored; `best` and `best_epoch`
            are then those of an earlier epoch whose weights are left, or say that there is none.
        warnings: what was found damaged, in sentences.
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
        self._folder, self._is_writer = folder, is_writer
        self._result = tf.Variable("", dtype=tf.string, trainable=False, name="result")
        best = {"best": self.best, "best_epoch": self.best_epoch}
        last = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=self.epoch, **best, **extras)
        self._last = self._files(last, "last")
        self._best = self._files(tf.train.Checkpoint(model=model, **best), "best")
        self._trained = self._files(tf.train.Checkpoint(model=model, result=self._result), "trained")
        self._best_metrics = self._files(tf.train.Checkpoint(**best), "best")

    def restore(self) -> bool:
        """Goes back to what was saved last and is whole; whether there was anything."""
        if self._last.restore() is None:
            if self._last.numbers():
                self._tell(f"no checkpoint in {posixpath.join(self._folder, 'last')} is whole: training began anew")
            return False
        best_epoch = int(self.best_epoch)
        self.has_lost_best = best_epoch > 0 and not self._best.is_whole(best_epoch)
        if self.has_lost_best:
            self._forget_best()
            self._best_metrics.restore(at_most=best_epoch - 1)
        return True

    def save(self) -> None:
        """Saves everything."""
        if self._is_writer:
            self._last.save(int(self.epoch))

    def save_best(self, metric: float) -> None:
        """Saves the weights as the best so far."""
        self.best.assign(metric)
        self.best_epoch.assign(self.epoch)
        if self._is_writer:
            self._best.save(int(self.epoch))

    def restore_best(self) -> None:
        """Gives the model the best epoch's weights, those of an earlier one where they are damaged."""
        best_epoch = int(self.best_epoch)
        if best_epoch and self._best.restore(at_most=best_epoch) is None:
            self._tell("the last epoch's weights took the position of the best epoch's, of which none are whole")
            self._forget_best()

    def save_trained(self, result: Mapping[str, Any]) -> None:
        """Saves the weights that training ended with, and how it ended: values that JSON holds."""
        self._result.assign(json.dumps(result))
        if self._is_writer:
            self._trained.save(int(self.epoch))

    def restore_trained(self) -> dict[str, Any] | None:
        """Gives the model the weights that training ended with, and tells how; None where it has not ended."""
        return None if self._trained.restore() is None else json.loads(self._result.numpy())

    def remove(self) -> None:
        """Removes the folder."""
        if tf.io.gfile.exists(self._folder):
            tf.io.gfile.rmtree(self._folder)

    def _forget_best(self) -> None:
        self.best.assign(math.nan)
        self.best_epoch.assign(0)

    def _files(self, checkpoint: tf.train.Checkpoint, name: str) -> CheckpointFiles:
        return CheckpointFiles(checkpoint, posixpath.join(self._folder, name), name, self._tell)

    def _tell(self, warning: str) -> None:
        logging.warning("%s", warning)
        self.warnings.append(warning)
