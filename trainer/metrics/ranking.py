"""Ranking metrics averaged over users, from the ranks of their target items. NumPy only.

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
    """Target events: aligned arrays [N]."""

    user: Integers
    rank: Floats
    popularity_rank: Floats

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Targets":
        """The events where `chosen` [N] holds."""
        return Targets(self.user[chosen], self.rank[chosen], self.popularity_rank[chosen])


def metrics_by_user(targets: Targets, ks: Sequence[int], one_list: bool) -> Floats:
    """The metrics of every user, for the model and for the popularity baseline.

    Args:
      targets: The events of N targets; all events of a user must be here.
      ks: The lengths K.
      one_list: Whether a user's targets stand in one ranked list (a frozen history), or each in its own.

    Returns:
      [2, U, M]: model and baseline; users by key; M = 3 |ks| + 1 metrics in the order of
      `metric_names.ranking_metrics`.
    """
    order = np.argsort(targets.user, kind="stable")
    users = targets.user[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if users.size else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, users.size])
    ranks = np.stack([targets.rank[order], targets.popularity_rank[order]])
    if not users.size:
        return np.empty((2, 0, 3 * len(ks) + 1))
    return _metrics(ranks, starts, counts, np.asarray(ks), one_list)


def ideal_gain(k: int, count: Integers) -> Floats:
    """The best DCG of a list of length `k` that holds `count` targets, elementwise."""
    cumulative = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
    return cumulative[np.minimum(k, count) - 1]


def _metrics(ranks: Floats, starts: Integers, counts: Integers, ks: Integers, one_list: bool) -> Floats:
    hit = ranks[..., None] <= ks
    hits = np.add.reduceat(hit.astype(np.float64), starts, axis=1)
    gain = np.add.reduceat(hit / np.log2(1 + ranks)[..., None], starts, axis=1)
    if one_list:
        # Ranks in one list differ; where request times set two lists apart after all, the metric stays at most 1.
        ndcg = np.minimum(gain / np.stack([ideal_gain(int(k), counts) for k in ks], axis=-1), 1.0)
    else:
        ndcg = gain / counts[:, None]
    best = np.minimum.reduceat(ranks, starts, axis=1)
    return np.concatenate([hits / counts[:, None], ndcg, hits > 0, (1 / best)[..., None]], axis=-1)
