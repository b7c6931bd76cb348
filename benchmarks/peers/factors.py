"""Matrix factorisations of the `implicit` library."""

from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from threadpoolctl import threadpool_limits

from benchmarks.peers.evaluation import Queries, Training


@dataclass
class ImplicitALS:
    """Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback datasets".

    The user's vector is solved anew from the history of the query.
    """

    factors: int = 64
    regularization: float = 10.0
    alpha: float = 1.0
    iterations: int = 15

    def fit(self, training: Training) -> None:
        """Alternates between users and items."""
        with threadpool_limits(1, "blas"):  # the library has threads of its own
            self._model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=0,
            )
            self._model.fit(training.matrix(), show_progress=False)

    def score(self, queries: Queries) -> np.ndarray:
        """The products of the vectors: float32 [B, V]."""
        with threadpool_limits(1, "blas"):
            vectors = self._model.recalculate_user(np.arange(len(queries)), queries.matrix())
        return vectors @ self._model.item_factors.T


@dataclass
class BPR:
    """Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback".

    The user's vector is that of training: a history that has grown since changes nothing.
    """

    factors: int = 32
    learning_rate: float = 0.02
    regularization: float = 0.01
    iterations: int = 100

    def fit(self, training: Training) -> None:
        """Stochastic gradient steps on pairs of an observed and a sampled item."""
        self._model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            random_state=0,
        )
        self._model.fit(training.matrix(), show_progress=False)
        cold = np.bincount(training.user, minlength=training.users) == 0
        # The last factor of an item is its bias; a user without events has nothing else.
        self._model.user_factors[cold] = np.eye(1, self.factors + 1, self.factors, dtype=np.float32)

    def score(self, queries: Queries) -> np.ndarray:
        """The products of the vectors and the items' biases: float32 [B, V]."""
        return self._model.user_factors[queries.user] @ self._model.item_factors.T
