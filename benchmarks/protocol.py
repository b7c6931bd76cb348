"""The evaluation protocol of the quality benchmark, in NumPy: ranks of the full catalogue, averages over users, RMSE.

It shares no code with the pipeline's own evaluation, so each is a check on the other.

For a user with n target events of ranks r_1..r_n in the full catalogue (1 is the best, masked items left out):

- recall@K: the share of r_i <= K;
- hr@K: 1 if any r_i <= K, else 0;
- ndcg@K (Järvelin and Kekäläinen 2002, binary gain): the sum of 1 / log2(1 + r_i) over r_i <= K, divided by the best
  possible sum: that of the positions 1..min(K, n) where the targets stand in one list, n where each has its own list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

KS: Final = (10, 100)


@dataclass(frozen=True)
class Metric:
    """A mean over users or rows with its standard error (NaN for fewer than two) and their number."""

    mean: float
    error: float
    count: int

    @classmethod
    def of(cls, values: np.ndarray) -> "Metric":
        """The metric of one value per user or row, shape [N]; NaN where N is 0."""
        count = len(values)
        mean = float(values.mean()) if count else float("nan")
        error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
        return cls(mean, error, count)


def target_ranks(scores: np.ndarray, row: np.ndarray, item: np.ndarray) -> np.ndarray:
    """The positions of target items in the ranked catalogue.

    Args:
      scores: float [B, V]; masked items hold -inf. Equal scores: the smaller index is ahead.
      row: int [T], the target's row of `scores`.
      item: int [T], the target's item; V for one outside the catalogue.

    Returns:
      float64 [T]: 1 + the number of items ahead; infinity for a masked item and for one outside the catalogue, so that
      they are a miss in a catalogue of fewer than K items too.

    Raises:
      ValueError: If a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(f"`scores` should hold numbers. Received: {int(np.isnan(scores).sum())} NaN")
    catalogue = scores.shape[1]
    own = scores[row, np.minimum(item, catalogue - 1)]
    rows = scores[row]
    ahead = np.count_nonzero(rows > own[:, None], axis=1)
    ties = (rows == own[:, None]) & (np.arange(catalogue) < item[:, None])
    ranks = 1 + ahead + np.count_nonzero(ties, axis=1)
    return np.where((item >= catalogue) | np.isneginf(own), np.inf, ranks)


def user_metrics(
    ranks: np.ndarray, user: np.ndarray, one_list: bool = True, ks: Sequence[int] = KS
) -> dict[str, np.ndarray]:
    """The ranking metrics of every user.

    Args:
      ranks: float [T], see `target_ranks`.
      user: int [T], the target's user.
      one_list: Whether a user's targets stand in one ranked list (a frozen history) or each in its own (rolling).
      ks: The lengths K.

    Returns:
      `hr@K`, `ndcg@K` and `recall@K` for each K, float [U], users in rising order.
    """
    _, index, count = np.unique(user, return_inverse=True, return_counts=True)
    metrics = {}
    for k in ks:
        hits = np.bincount(index, ranks <= k, minlength=len(count))
        gain = np.bincount(index, (ranks <= k) / np.log2(1 + ranks), minlength=len(count))
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(count, k) - 1] if one_list else count
        metrics[f"hr@{k}"] = (hits > 0).astype(np.float64)
        # At most 1 even where a log holds one item twice among a user's targets.
        metrics[f"ndcg@{k}"] = np.minimum(gain / ideal, 1.0)
        metrics[f"recall@{k}"] = hits / count
    return metrics


def ranking_metrics(
    ranks: np.ndarray, user: np.ndarray, cold: np.ndarray, one_list: bool = True, ks: Sequence[int] = KS
) -> dict[str, dict[str, Metric]]:
    """The averages over users: `warm` is the headline, `cold` are the users without a training event.

    Args:
      ranks, user, one_list, ks: See `user_metrics`.
      cold: bool [T], whether the target's user is cold.

    Returns:
      By slice, by metric. A slice without users is left out.
    """
    slices = {"warm": ~cold, "cold": cold}
    return {
        name: _averages(user_metrics(ranks[rows], user[rows], one_list, ks))
        for name, rows in slices.items()
        if rows.any()
    }


def rating_metrics(
    prediction: np.ndarray, label: np.ndarray, cold: np.ndarray, scale: tuple[float, float]
) -> dict[str, dict[str, Metric]]:
    """The root mean squared error, predictions clipped to the scale, over all rows and over warm users' rows.

    Args:
      prediction: float [N].
      label: float [N].
      cold: bool [N], whether the row's user has no training rating.
      scale: The smallest and the greatest rating.

    Returns:
      By slice (`all`, `warm`): `rmse`, its standard error by the delta method.
    """
    squared = (np.clip(prediction, *scale).astype(np.float64) - label) ** 2
    slices = {"all": squared, "warm": squared[~cold]}
    return {name: {"rmse": _root(Metric.of(values))} for name, values in slices.items() if len(values)}


def _averages(metrics: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    return {name: Metric.of(values) for name, values in metrics.items()}


def _root(squared: Metric) -> Metric:
    root = squared.mean**0.5
    return Metric(root, squared.error / (2 * root) if root else 0.0, squared.count)
