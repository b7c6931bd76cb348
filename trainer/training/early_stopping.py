"""Each task stops shaping what is shared when that no longer helps itself."""

import math

import tensorflow as tf
from absl import logging

from trainer.model.recommender import RecommenderModel
from trainer.training.improvement import Metrics


class TaskStopping(tf.Module):
    """Early stopping task by task, with one set of towers to export.

    Ratings and likes are learned by heart long before retrieval has learned what there is to learn. When a task's own
    eval loss has not improved for some epochs, its gradient ends at its head: towers and embeddings go on for the other
    tasks, and the head goes on following them, so it fits those of whichever epoch is kept.

    Args:
        model: whose `reaches` are set.
        patience: so many epochs without an improvement are waited for.
    """

    def __init__(self, model: RecommenderModel, patience: int) -> None:
        super().__init__(name="task_stopping")
        self._model = model
        self._patience = patience
        self._best = {n: tf.Variable(math.inf, trainable=False, dtype=tf.float64, name=n) for n in model.reaches}
        self._waited = {n: tf.Variable(0, trainable=False, dtype=tf.int64, name=n) for n in model.reaches}

    def end_epoch(self, evaluation: Metrics) -> None:
        """Takes the metrics of an epoch in."""
        for name, reaches in self._model.reaches.items():
            loss = evaluation.get(f"{name}_loss", math.nan)
            if math.isnan(loss):  # no target of the task
                continue
            if loss < float(self._best[name]):
                self._best[name].assign(loss)
                self._waited[name].assign(0)
                continue
            self._waited[name].assign_add(1)
            if int(self._waited[name]) == self._patience:
                reaches.assign(0.0)
                logging.info(
                    "%s no longer trains what is shared: its eval loss was best %d epochs ago.", name, self._patience
                )
