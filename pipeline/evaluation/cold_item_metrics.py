"""How well items that training never saw are recommended, averaged over users."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.accumulator import Averages, Events, Memory, UserAverages
from pipeline.evaluation.batches import Outputs, computation
from trainer.metrics.names import (
    COLD_PLACES,
    COLD_USERS,
    LIFT,
    POPULARITY,
    STANDARD_ERROR,
    cold_item_metrics,
    ranking_metrics,
)
from trainer.metrics.ranking import Targets

_KINDS = ("", POPULARITY, LIFT)
_RANKS = (("target_rank", "popularity_rank"), ("cold_rank", "popularity_cold_rank"))
"""The model's and the baseline's: in the full catalogue, and among cold items."""


class ColdItemMetrics(tfma.metrics.Metric):
    """recall@K and ndcg@K of the targets whose item has no positive train event, averaged over the users that have
    such targets, `cold_item_users` of them.

    `cold_<metric>` is in the full catalogue, `among_cold_<metric>` with only cold items ranked. Popularity knows
    nothing of cold items: what it finds among them is the order of equal scores. Beside them are lifts and standard
    errors, as of `RetrievalMetrics`.

    Args:
      ks: The lengths K.
      one_list: See `metrics_by_user`.
      name: The metric's name in the configuration.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, name: str = "cold_items"):
        super().__init__(_cold_items, ks=list(ks), one_list=one_list, name=name)


class ColdItemFold:
    """Two averages over users: of ranks in the full catalogue and among cold items.

    Args:
      ks: The lengths K.
      one_list: See `metrics_by_user`.
    """

    def __init__(self, ks: Sequence[int], one_list: bool):
        self._ks = tuple(ks)
        self._averages = UserAverages(ks, one_list)

    def start(self) -> list[Memory]:
        """No events."""
        return [self._averages.start() for _ in COLD_PLACES]

    def add(self, state: list[Memory], rows: list[Events]) -> list[Memory]:
        """Takes events in, once with each kind of rank."""
        return [self._averages.add(memory, events) for memory, events in zip(state, rows, strict=True)]

    def merge(self, states: Iterable[list[Memory]]) -> list[Memory]:
        """The events of all."""
        memories = list(states)
        return [self._averages.merge([state[position] for state in memories]) for position in range(len(COLD_PLACES))]

    def read(self, state: list[Memory]) -> dict[str, float]:
        """The metrics by name."""
        averages = [self._averages.read(memory) for memory in state]
        values = {COLD_USERS: float(averages[0].users)}
        for position, found in zip(COLD_PLACES, averages, strict=True):
            values |= self._named(position, found)
        return values

    def _named(self, position: str, averages: Averages) -> dict[str, float]:
        wanted, values = cold_item_metrics(self._ks), {}
        for row, kind in enumerate(_KINDS):
            for column, metric in enumerate(ranking_metrics(self._ks)):
                if position + metric in wanted:
                    values[kind + position + metric] = float(averages.mean[row, column])
                    values[STANDARD_ERROR + kind + position + metric] = float(averages.standard_error[row, column])
        return values


def cold_events(outputs: Outputs) -> list[Events]:
    """The target events of cold items, with each kind of rank; none of a model that does not tell cold items."""
    unknown = np.zeros(len(outputs["retrieval_weight"]))
    outputs = {"is_cold_item": unknown, **dict.fromkeys(_RANKS[1], unknown), **outputs}
    kept = (outputs["retrieval_weight"].ravel() > 0) & (outputs["is_cold_item"].ravel() > 0)
    rows = {name: values[kept] for name, values in outputs.items()}
    no_items = np.empty([int(kept.sum()), 0], np.int64)
    return [
        Events(
            Targets(rows["user_key"].ravel(), *(rows[name].ravel().astype(np.float64) for name in ranks)),
            rows["target_count"].ravel().astype(np.float64),
            no_items,
            no_items,
            0,
        )
        for ranks in _RANKS
    ]


def _cold_items(ks: list[int], one_list: bool, name: str, model_names: Sequence[str]) -> list[Any]:
    return [computation(ColdItemFold(ks, one_list), _rows, name, model) for model in model_names]


def _rows(outputs: Outputs, labels: Outputs, task: str) -> list[Events]:
    del labels, task
    return cold_events(outputs)
