"""Ranking metrics of users, from the ranks of their target items. NumPy only.

Definitions, for a user with n target events of ranks r_1..r_n in the full catalogue (1 is the best):

- recall@K: the share of r_i <= K;
- hr@K: 1 if any r_i <= K, else 0;
- mrr: 1 / min r_i;
- ndcg@K (Järvelin and Kekäläinen 2002, binary gain): DCG = sum of 1 / log2(1 + r_i) over r_i <= K, divided by the best
  possible DCG. With a frozen history the n targets stand in one list, so the best is the sum over the positions
  1..min(K, n). With a rolling history each target has a list of its own, whose best is 1: the sum is divided by n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Targets(NamedTuple):
    """Target events: aligned arrays [N] of users and of the targets' ranks by the model and by popularity."""

    user: Integers
    rank: Floats
    popularity_rank: Floats

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Targets":
        """Returns the events where `chosen` bool [N] holds."""
        return Targets(self.user[chosen], self.rank[chosen], self.popularity_rank[chosen])


def metrics_by_user(targets: Targets, ks: Sequence[int], one_list: bool) -> Floats:
    """Computes the metrics of every user, for the model and for the popularity baseline.

    For example, a user whose two targets have the ranks 1 and 9 in one list has, at K = 5, the recall 1 / 2, the NDCG
    1 / (1 + 1 / log2(3)) = 0.61, the hit rate 1 and the MRR 1.

    Args:
        targets: all target events of every user.
        ks: the lengths K.
        one_list: whether a user's targets stand in one ranked list (a frozen history), or each in its own.

    Returns:
        float [2, U, M]: model and baseline; users by key; M = 3 |ks| + 1 metrics in the order of
        `trainer.metrics.names.ranking_metrics`.
    """
    if not targets.user.size:
        return np.empty((2, 0, 3 * len(ks) + 1))
    order = np.argsort(targets.user, kind="stable")
    _, starts, counts = np.unique(targets.user[order], return_index=True, return_counts=True)
    ranks = np.stack([targets.rank[order], targets.popularity_rank[order]])
    hit = ranks[..., None] <= np.asarray(ks)
    hits = np.add.reduceat(hit.astype(np.float64), starts, axis=1)
    gain = np.add.reduceat(hit / np.log2(1 + ranks)[..., None], starts, axis=1)
    if one_list:
        # Ranks in one list differ; where request times set two lists apart after all, the metric stays at most 1.
        ndcg = np.minimum(gain / np.stack([ideal_gain(k, counts) for k in ks], axis=-1), 1.0)
    else:
        ndcg = gain / counts[:, None]
    best = np.minimum.reduceat(ranks, starts, axis=1)
    return np.concatenate([hits / counts[:, None], ndcg, hits > 0, (1 / best)[..., None]], axis=-1)


def standard_error(values: Floats) -> float:
    """Returns the standard error of the mean of values [N]; NaN for fewer than two."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def ideal_gain(k: int, count: Integers) -> Floats:
    """Returns the best DCG of lists of length `k` that hold `count` [n] targets: float [n].

    For example, `ideal_gain(2, [1, 5])` is [1, 1 + 1 / log2(3)] = [1, 1.63].
    """
    cumulative = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return cumulative[np.minimum(k, count) - 1]
