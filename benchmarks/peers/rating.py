"""Peers that predict ratings: what each is, how its settings are chosen on eval, how it is evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.evaluation import State
from benchmarks.peers.examples import Events, Log, item_features, user_features
from benchmarks.protocol import Metric, rating_metrics


@dataclass(frozen=True)
class Ratings:
    """Rated events and what is known of users and items.

    Attributes:
      user, item: int64 [N], item below V.
      label: float32 [N].
      user_features: CSR float32 [U, F].
      item_features: CSR float32 [V, G].
    """

    user: np.ndarray
    item: np.ndarray
    label: np.ndarray
    user_features: sp.csr_matrix
    item_features: sp.csr_matrix

    def matrix(self) -> sp.csr_matrix:
        """Who rated what: float32 [U, V], ones."""
        shape = (self.user_features.shape[0], self.item_features.shape[0])
        matrix = sp.csr_matrix((np.ones(len(self.user), np.float32), (self.user, self.item)), shape=shape)
        matrix.data[:] = 1
        return matrix


@dataclass(frozen=True)
class RatingEvaluation:
    """One evaluation: what a peer is fitted to, and N rows to predict. Items that occur in neither are left out."""

    training: Ratings
    user: np.ndarray
    item: np.ndarray
    label: np.ndarray

    @property
    def cold(self) -> np.ndarray:
        """Whether the row's user has no training rating: bool [N]."""
        return ~np.isin(self.user, self.training.user)

    @property
    def scale(self) -> tuple[float, float]:
        """The smallest and the greatest training rating."""
        return float(self.training.label.min()), float(self.training.label.max())


class Rater(Protocol):
    """A predictor of ratings. A dataclass, so that its settings can be printed."""

    def fit(self, training: Ratings) -> None:
        """Learns from the ratings; forgets what was learned before."""

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Predicts: int64 [N] and [N], users and items of the training's ranges -> float [N], not clipped."""


def selection_evaluation(log: Log) -> RatingEvaluation:
    """The evaluation on eval by which settings are chosen."""
    return _evaluation(log, log.train, log.eval.events)


def final_evaluation(log: Log, state: State) -> RatingEvaluation:
    """The evaluation on test; `papers` is `train` here, for a rating has no history."""
    return _evaluation(log, log.train + log.eval.events if state == "refit" else log.train, log.test.events)


def metrics(rater: Rater, evaluation: RatingEvaluation) -> dict[str, dict[str, Metric]]:
    """The fitted rater's metrics by slice, see `protocol.rating_metrics`."""
    return rating_metrics(
        rater.predict(evaluation.user, evaluation.item), evaluation.label, evaluation.cold, evaluation.scale
    )


def choose(candidates: Sequence[Rater], evaluation: RatingEvaluation) -> Rater:
    """The candidate with the smallest RMSE over all rows."""
    if len(candidates) == 1:
        return candidates[0]
    return min(candidates, key=lambda candidate: _error(candidate, evaluation))


def _error(candidate: Rater, evaluation: RatingEvaluation) -> float:
    candidate.fit(evaluation.training)
    return metrics(candidate, evaluation)["all"]["rmse"].mean


def _evaluation(log: Log, fitted: Events, queried: Events) -> RatingEvaluation:
    fitted, queried = _rated(fitted, len(log.items)), _rated(queried, len(log.items))
    items, position = np.unique(np.concatenate([fitted.item, queried.item]), return_inverse=True)
    known, wanted = position[: len(fitted)], position[len(fitted) :]
    ratings = Ratings(fitted.user, known, fitted.label, user_features(log), item_features(log)[items])
    return RatingEvaluation(ratings, queried.user, wanted, queried.label)


def _rated(events: Events, items: int) -> Events:
    """The events with a rating, of items in the catalogue."""
    return events[~np.isnan(events.label) & (events.item < items)]
