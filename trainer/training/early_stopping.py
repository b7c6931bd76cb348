"""Comparison of an eval metric with the best so far, and early stopping task by task."""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf
from absl import logging

from trainer.model.recommender import RecommenderModel

Metrics = Mapping[str, float]
_LOWER_IS_BETTER = ("loss", "rmse")


def is_lower_better(metric: str) -> bool:
    """Returns whether a metric of this name should fall: losses and errors."""
    return metric.endswith(_LOWER_IS_BETTER)


def is_better(metric: str, value: float, best: float) -> bool:
    """Returns whether a value is above (or, for losses, below) the best so far, NaN before there is one."""
    return math.isnan(best) or (value < best if is_lower_better(metric) else value > best)


def default_metric(evaluation: Metrics, ks: Sequence[int]) -> str:
    """Returns NDCG of the longest list where the eval split gives it, else the loss."""
    ndcg = f"ndcg@{max(ks)}"
    return ndcg if ndcg in evaluation else "loss"


def metric_of(evaluation: Metrics, metric: str, key: str) -> float:
    """Returns the metric that a key of the configuration names.

    Raises:
        ValueError: If the eval split does not give it.
    """
    if metric not in evaluation:
        raise ValueError(
            f"`{key}` should be one of {', '.join(evaluation) or 'none (no eval split)'}. Received: {metric}"
        )
    return evaluation[metric]


class TaskStopping(tf.Module):
    """Early stopping task by task, with one set of towers to export.

    Rating and like tasks overfit long before retrieval has converged. When a task's own eval loss has not improved for
    some epochs, its gradient ends at its head: towers and embeddings train on for the other tasks, and the head follows
    them, so that it fits the towers of whichever epoch is kept.

    Args:
        model: Its `reaches` are set.
        patience: The number of epochs without an improvement.
    """

    def __init__(self, model: RecommenderModel, patience: int) -> None:
        super().__init__(name="task_stopping")
        self._model = model
        self._patience = patience
        self._best = {n: tf.Variable(math.inf, trainable=False, dtype=tf.float64, name=n) for n in model.reaches}
        self._waited = {n: tf.Variable(0, trainable=False, dtype=tf.int64, name=n) for n in model.reaches}

    def end_epoch(self, evaluation: Metrics) -> None:
        """Updates the model's `reaches` by the metrics of an epoch."""
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
