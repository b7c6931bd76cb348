"""The metrics of tasks that order items, pairwise and listwise, averaged over users. NumPy only.

They compare a user's labelled targets of one split, each scored before its event happened:

- pairwise_accuracy: of the user's pairs of targets with different labels, the share whose higher label has the higher
  score, ties counted half; with labels 0 and 1 it is the user's AUC;
- ndcg (Järvelin and Kekäläinen 2002): the targets ordered by score, DCG = sum of gain / log2(1 + position) over all of
  them, the gain being the label, 0 where it is negative; divided by the best possible DCG. Equal scores share the mean
  of their positions' discounts.

Users without two different labels do not count, nor for ndcg those without a positive one. So a split with one target a
user (`leave_last_out`) has neither metric.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from trainer.metrics.names import ORDER_METRICS, STANDARD_ERROR, USERS
from trainer.metrics.ranking import Floats, Integers, standard_error

Record = TypeVar("Record", bound=tuple)


class Scores(NamedTuple):
    """Labelled scores of users' targets: aligned arrays [N]."""

    user: Integers
    label: Floats
    score: Floats


class OrderMetrics:
    """A fold (as in `trainer.metrics.prediction`) that averages over users.

    A user's targets may come in any order and number of batches, so all are kept to the end: 24 bytes each.
    """

    def start(self) -> list[Scores]:
        """Returns the state of no targets."""
        return []

    def add(self, state: list[Scores], scores: Scores) -> list[Scores]:
        """Returns the state with more targets."""
        return [*state, scores]

    def merge(self, states: Iterable[list[Scores]]) -> list[Scores]:
        """Returns the state of the targets of all states."""
        return [joined(Scores, [part for state in states for part in state])]

    def read(self, state: list[Scores]) -> dict[str, float]:
        """Returns the averages by name, their standard errors and the number of `users` that count.

        An average is NaN without such a user, a standard error with fewer than two.
        """
        scores = joined(Scores, state)
        by_user = order_metrics(scores)
        metrics = {USERS: float((~np.isnan(by_user[0])).sum()), "examples": float(len(scores.user))}
        for name, values in zip(ORDER_METRICS, by_user, strict=True):
            counted = values[~np.isnan(values)]
            metrics[name] = float(counted.mean()) if counted.size else np.nan
            metrics[STANDARD_ERROR + name] = standard_error(counted)
        return metrics


def joined(kind: type[Record], parts: Sequence[Record]) -> Record:
    """Concatenates records of aligned arrays.

    Args:
        kind: a named tuple of arrays [N]: users int64, then floats.
        parts: any number of them, also none.
    """
    none = (np.empty(0, np.int64), *(np.empty(0) for _ in kind._fields[1:]))  # type: ignore[attr-defined]
    return kind(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


def order_metrics(scores: Scores) -> Floats:
    """Returns every user's metrics, float [2, U] in the order of `ORDER_METRICS`, users by key; NaN where undefined."""
    users, user = np.unique(scores.user, return_inverse=True)
    order = np.argsort(user, kind="stable")
    user, label, score = user[order], scores.label[order], scores.score[order]
    accuracy = _pairwise_accuracy(user, label, score, len(users))
    gain = np.maximum(label, 0)
    with np.errstate(invalid="ignore"):
        ndcg = _cumulative_gain(user, gain, score, len(users)) / _cumulative_gain(user, gain, gain, len(users))
    return np.stack([accuracy, np.where(np.isnan(accuracy), np.nan, ndcg)])


def _pairwise_accuracy(user: Integers, label: Floats, score: Floats, users: int) -> Floats:
    """Compares the pairs at distance 1, 2, ... of all users at once.

    For example, for the sorted users [0, 0, 0, 1, 1] distance 1 pairs the positions (0, 1), (1, 2), (3, 4), distance 2
    pairs (0, 2), and distance 3 has no pair left.
    """
    right, pairs = np.zeros(users), np.zeros(users)
    first, distance = np.arange(len(user) - 1), 1
    while first.size:
        first = first[first + distance < len(user)]
        first = first[user[first] == user[first + distance]]
        second = first + distance
        concordance = np.sign(label[first] - label[second]) * np.sign(score[first] - score[second])
        differs = label[first] != label[second]
        right += np.bincount(user[first], differs * (1 + concordance) / 2, users)
        pairs += np.bincount(user[first], differs, users)
        distance += 1
    with np.errstate(invalid="ignore"):
        return right / pairs


def _cumulative_gain(user: Integers, gain: Floats, score: Floats, users: int) -> Floats:
    """Returns the DCG of every user's targets ordered by score: float [U]."""
    order = np.lexsort((-score, user))
    ordered, scores = user[order], score[order]
    starts = np.searchsorted(ordered, np.arange(users))
    discount = 1 / np.log2(2 + np.arange(len(user)) - starts[ordered])
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]) | (scores[1:] != scores[:-1])][: len(user)]
    group = np.cumsum(is_new) - 1
    mean_discount = np.bincount(group, discount) / np.bincount(group)
    return np.bincount(ordered, gain[order] * mean_discount[group], users).astype(np.float64)
