"""Peers that rank: what each is, how its settings are chosen on eval, how it is evaluated."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from benchmarks.peers.evaluation import Evaluation, Queries, Training
from benchmarks.protocol import Metric, ranking_metrics, target_ranks

BLOCK: Final = 1 << 24
"""The number of scores held at once."""


class Ranker(Protocol):
    """A recommender. A dataclass, so that its settings can be printed."""

    def fit(self, training: Training) -> None:
        """Learns from the events; forgets what was learned before."""

    def score(self, queries: Queries) -> np.ndarray:
        """Scores the catalogue: float [B, V], more is better. Equal scores rank by popularity."""


def ranks(ranker: Ranker, evaluation: Evaluation) -> np.ndarray:
    """The ranks of the evaluation's targets by a fitted ranker: float64 [T], see `protocol.target_ranks`."""
    result = np.empty(len(evaluation.target_item))
    size = max(1, BLOCK // evaluation.training.items)
    for start in range(0, len(evaluation.queries), size):
        block = slice(start, start + size)
        scores = np.array(ranker.score(evaluation.queries[block]), np.float32)
        scores[evaluation.seen[block].nonzero()] = -np.inf
        mine = np.flatnonzero((evaluation.target_query >= start) & (evaluation.target_query < start + size))
        # A query has as many rows here as targets, so its targets come in pieces.
        for piece in np.array_split(mine, 1 + len(mine) // size):
            result[piece] = target_ranks(scores, evaluation.target_query[piece] - start, evaluation.target_item[piece])
    return result


def metrics(ranker: Ranker, evaluation: Evaluation) -> dict[str, dict[str, Metric]]:
    """The fitted ranker's metrics by slice and metric, see `protocol.ranking_metrics`."""
    user = evaluation.queries.user[evaluation.target_query]
    return ranking_metrics(ranks(ranker, evaluation), user, evaluation.cold, evaluation.one_list)


def choose(candidates: Sequence[Ranker], evaluation: Evaluation) -> Ranker:
    """The candidate with the best NDCG@10 of warm users (of cold ones where there are no others)."""
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda candidate: _quality(candidate, evaluation))


def _quality(candidate: Ranker, evaluation: Evaluation) -> float:
    candidate.fit(evaluation.training)
    slices = metrics(candidate, evaluation)
    return next(iter(slices.values()))["ndcg@10"].mean
