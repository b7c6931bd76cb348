"""The metrics of tasks that order items, pairwise and listwise, averaged over users. NumPy only.

A user's answers are the labelled targets of one split, each scored before its event happened:

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
import numpy.typing as npt

from trainer.metrics.names import ORDER_METRICS, STANDARD_ERROR, USERS

Record = TypeVar("Record", bound=tuple)


def joined(kind: type[Record], parts: Sequence[Record]) -> Record:
    """All rows of the parts, which may be none.

    Args:
      kind: A named tuple of arrays [N]: users int64, then floats.
      parts: Any number of them.
    """
    none = (np.empty(0, np.int64), *(np.empty(0) for _ in kind._fields[1:]))  # type: ignore[attr-defined]
    return kind(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Scores(NamedTuple):
    """Labelled scores: aligned arrays [N]."""

    user: Integers
    label: Floats
    score: Floats


class OrderMetrics:
    """Folds answers into the averages over users, their standard errors, and the number of users.

    A user's answers may come in any order and number, so all are kept to the end: 24 bytes each.
    """

    def start(self) -> list[Scores]:
        """The state of no answers."""
        return []

    def add(self, state: list[Scores], answers: Scores) -> list[Scores]:
        """Takes answers in."""
        return [*state, answers]

    def merge(self, states: Iterable[list[Scores]]) -> list[Scores]:
        """The state of all answers."""
        return [joined(Scores, [part for state in states for part in state])]

    def read(self, state: list[Scores]) -> dict[str, float]:
        """The metrics; NaN without a user that counts, the standard error with fewer than two."""
        answers = joined(Scores, state)
        by_user = order_metrics(answers)
        metrics = {USERS: float((~np.isnan(by_user[0])).sum()), "examples": float(len(answers.user))}
        for name, values in zip(ORDER_METRICS, by_user, strict=True):
            counted = values[~np.isnan(values)]
            metrics[name] = float(counted.mean()) if counted.size else np.nan
            error = counted.std(ddof=1) / np.sqrt(counted.size) if counted.size > 1 else np.nan
            metrics[STANDARD_ERROR + name] = float(error)
        return metrics


def order_metrics(answers: Scores) -> Floats:
    """The metrics of every user, float [2, U] in the order of `ORDER_METRICS`, users by key; NaN where undefined."""
    users, user = np.unique(answers.user, return_inverse=True)
    order = np.argsort(user, kind="stable")
    user, label, score = user[order], answers.label[order], answers.score[order]
    accuracy = _pairwise_accuracy(user, label, score, len(users))
    gain = np.maximum(label, 0)
    with np.errstate(invalid="ignore"):
        ndcg = _cumulative_gain(user, gain, score, len(users)) / _cumulative_gain(user, gain, gain, len(users))
    return np.stack([accuracy, np.where(np.isnan(accuracy), np.nan, ndcg)])


def _pairwise_accuracy(user: Integers, label: Floats, score: Floats, users: int) -> Floats:
    """Pairs at distance 1, 2, ... of all users at once; `user` is sorted."""
    right, pairs = np.zeros(users), np.zeros(users)
    first, distance = np.arange(len(user) - 1), 1
    while first.size:
        first = first[first + distance < len(user)]
        first = first[user[first] == user[first + distance]]
        second = first + distance
        agreement = np.sign(label[first] - label[second]) * np.sign(score[first] - score[second])
        differs = label[first] != label[second]
        right += np.bincount(user[first], differs * (1 + agreement) / 2, users)
        pairs += np.bincount(user[first], differs, users)
        distance += 1
    with np.errstate(invalid="ignore"):
        return right / pairs


def _cumulative_gain(user: Integers, gain: Floats, score: Floats, users: int) -> Floats:
    """The DCG of every user's answers ordered by score."""
    order = np.lexsort((-score, user))
    ordered, scores = user[order], score[order]
    starts = np.searchsorted(ordered, np.arange(users))
    discount = 1 / np.log2(2 + np.arange(len(user)) - starts[ordered])
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]) | (scores[1:] != scores[:-1])][: len(user)]
    group = np.cumsum(is_new) - 1
    mean_discount = np.bincount(group, discount) / np.bincount(group)
    return np.bincount(ordered, gain[order] * mean_discount[group], users).astype(np.float64)
