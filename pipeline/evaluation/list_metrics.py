"""Novelty and intra-list distance of the recommended lists, averaged over examples."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.batches import Outputs, computation
from trainer.metrics.names import POPULARITY
from trainer.metrics.ranking import Floats

_KINDS = ("", POPULARITY)


class ListMetrics(tfma.metrics.Metric):
    """The mean of each metric of the model's lists and, as `popularity_<name>`, of those of the most popular items.

    `trainer.metrics.lists` has the definitions. Lists of which a metric is undefined do not count; a model that does
    not answer it has NaN.

    Args:
      names: `novelty@10`, `intra_list_distance@10`, ...: every K for which the model answers, metric by metric.
      name: The metric's name in the configuration.
    """

    def __init__(self, names: Sequence[str], name: str = "lists"):
        super().__init__(_lists, names=list(names), name=name)


class ListMeans:
    """The fold: sums and numbers of defined values, float [2, M].

    Args:
      names: The M metrics, those of popularity last.
    """

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)

    def start(self) -> Floats:
        """No lists."""
        return np.zeros([2, len(self._names)])

    def add(self, state: Floats, rows: Floats) -> Floats:
        """Takes lists in, float [N, M]."""
        return state + np.stack([np.nansum(rows, axis=0), np.sum(~np.isnan(rows), axis=0)])

    def merge(self, states: Iterable[Floats]) -> Floats:
        """The lists of all."""
        return sum(states, self.start())

    def read(self, state: Floats) -> dict[str, float]:
        """The means by name, NaN where no list has a value."""
        with np.errstate(invalid="ignore"):
            return dict(zip(self._names, (state[0] / state[1]).tolist(), strict=True))


def list_rows(names: Sequence[str], outputs: Outputs) -> Floats:
    """The metrics of lists that count, those with a retrieval label: float [N, 2 |names|], popularity's last."""
    kept = outputs["retrieval_weight"].ravel() > 0
    metrics = list(dict.fromkeys(name.partition("@")[0] for name in names))
    width = len(names) // len(metrics) if metrics else 0
    unknown = np.full([len(kept), width], np.nan)
    columns = [outputs.get(kind + metric, unknown)[kept] for kind in _KINDS for metric in metrics]
    return np.concatenate([np.empty([int(kept.sum()), 0]), *columns], axis=1)


def _lists(names: list[str], name: str, model_names: Sequence[str]) -> list[Any]:
    fold = ListMeans([kind + metric for kind in _KINDS for metric in names])
    return [computation(fold, partial(_rows, names), name, model) for model in model_names]


def _rows(names: list[str], outputs: Outputs, labels: Outputs, task: str) -> Floats:
    del labels, task
    return list_rows(names, outputs)
