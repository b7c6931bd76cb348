"""A weighted sum of peers."""

from dataclasses import dataclass, field

import numpy as np

from benchmarks.peers.exam import Queries, Training
from benchmarks.peers.ranking import Ranker


@dataclass
class FitOnce:
    """Fits a ranker again only for other training data: the parts of many blends are the same."""

    ranker: Ranker
    _training: Training | None = field(default=None, repr=False)

    def fit(self, training: Training) -> None:
        """Fits, unless done."""
        if training is not self._training:
            self.ranker.fit(training)
            self._training = training

    def score(self, queries: Queries) -> np.ndarray:
        """The ranker's scores."""
        return self.ranker.score(queries)


@dataclass
class Blend:
    """The sum of rankers' scores, each scaled to deviation 1 over the catalogue, times its weight."""

    weights: tuple[float, ...]
    rankers: tuple[Ranker, ...] = field(repr=False)

    def fit(self, training: Training) -> None:
        """Fits all parts."""
        for ranker in self.rankers:
            ranker.fit(training)

    def score(self, queries: Queries) -> np.ndarray:
        """The weighted sum: float32 [B, V]."""
        total = np.zeros((len(queries), queries.items), np.float32)
        for weight, ranker in zip(self.weights, self.rankers, strict=True):
            scores = ranker.score(queries)
            deviation = scores.std(axis=1, keepdims=True)
            total += weight * (scores / np.where(deviation > 0, deviation, 1)).astype(np.float32)
        return total
