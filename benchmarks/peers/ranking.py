"""Peers that rank: what each is, how its settings are chosen on eval, how it is evaluated."""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from benchmarks.peers.exam import Exam, Queries, Training
from benchmarks.protocol import Metric, ranking_metrics, target_ranks

BLOCK: Final = 1 << 24
"""The number of scores held at once."""


class Ranker(Protocol):
    """A recommender. A dataclass, so that its settings can be printed."""

    def fit(self, training: Training) -> None:
        """Learns from the events; forgets what was learned before."""

    def score(self, queries: Queries) -> np.ndarray:
        """Scores the catalogue: float [B, V], more is better. Equal scores rank by popularity."""


def ranks(ranker: Ranker, exam: Exam) -> np.ndarray:
    """The ranks of the exam's targets by a fitted ranker: float64 [T], see `protocol.target_ranks`."""
    result = np.empty(len(exam.target_item))
    size = max(1, BLOCK // exam.training.items)
    for start in range(0, len(exam.queries), size):
        block = slice(start, start + size)
        scores = np.array(ranker.score(exam.queries[block]), np.float32)
        scores[exam.seen[block].nonzero()] = -np.inf
        mine = np.flatnonzero((exam.target_query >= start) & (exam.target_query < start + size))
        # A query has as many rows here as targets, so its targets come in pieces.
        for piece in np.array_split(mine, 1 + len(mine) // size):
            result[piece] = target_ranks(scores, exam.target_query[piece] - start, exam.target_item[piece])
    return result


def metrics(ranker: Ranker, exam: Exam) -> dict[str, dict[str, Metric]]:
    """The fitted ranker's metrics by slice and metric, see `protocol.ranking_metrics`."""
    user = exam.queries.user[exam.target_query]
    return ranking_metrics(ranks(ranker, exam), user, exam.cold, exam.one_list)


def choose(candidates: Sequence[Ranker], exam: Exam) -> Ranker:
    """The candidate with the best NDCG@10 of warm users (of cold ones where there are no others)."""
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda candidate: _quality(candidate, exam))


def _quality(candidate: Ranker, exam: Exam) -> float:
    candidate.fit(exam.training)
    slices = metrics(candidate, exam)
    return next(iter(slices.values()))["ndcg@10"].mean
