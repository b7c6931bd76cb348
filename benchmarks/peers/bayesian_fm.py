"""Ratings by a Bayesian factorisation machine of the `myfm` library."""

import contextlib
import io
import sys
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.rating import Ratings


def _without_pkg_resources() -> None:
    """myfm 0.4.0 asks pkg_resources, which setuptools 82 dropped, for two names that it never uses."""
    if "pkg_resources" not in sys.modules:
        stand_in = ModuleType("pkg_resources")
        vars(stand_in).update(DistributionNotFound=Exception, get_distribution=None)
        sys.modules["pkg_resources"] = stand_in


_without_pkg_resources()
from myfm import MyFMRegressor, RelationBlock  # noqa: E402


@dataclass
class BayesianFM:
    """Rendle, Zhang and Koren 2019, "On the difficulty of evaluating baselines": Gibbs sampling of a factorisation
    machine (Freudenthaler, Schmidt-Thieme and Rendle 2011).

    Args:
      rank: The vectors' length.
      samples: The number of Gibbs steps; the first tenth is dropped.
      everything: Beside the ids also who rated what (as in SVD++, both ways round) and the side features.
    """

    rank: int = 10
    samples: int = 300
    everything: bool = False

    def fit(self, training: Ratings) -> None:
        """Samples."""
        self._users, self._items = self._blocks(training)
        self._model = MyFMRegressor(rank=self.rank, random_seed=42)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar cannot be switched off
            self._model.fit(
                None,
                training.label.astype(np.float64),
                X_rel=self._relations(training.user, training.item),
                n_iter=self.samples,
                n_kept_samples=self.samples * 9 // 10,
                group_shapes=[block.shape[1] for block in (*self._users, *self._items)],
            )

    def predict(self, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """The mean over the samples: float64 [N]."""
        return self._model.predict(None, X_rel=self._relations(user, item))

    def _blocks(self, training: Ratings) -> tuple[list[sp.csr_matrix], list[sp.csr_matrix]]:
        users, items = training.matrix().shape
        by_user, by_item = [sp.identity(users, format="csr")], [sp.identity(items, format="csr")]
        if self.everything:
            by_user += [_scaled(training.matrix()), training.user_features]
            by_item += [_scaled(training.matrix().T.tocsr()), training.item_features]
        return [block for block in by_user if block.shape[1]], [block for block in by_item if block.shape[1]]

    def _relations(self, user: np.ndarray, item: np.ndarray) -> list[RelationBlock]:
        sides = ((user, self._users), (item, self._items))
        return [RelationBlock(row, sp.hstack(blocks, format="csr").astype(np.float64)) for row, blocks in sides]


def _scaled(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Each row over the root of its number of ones."""
    count = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
    return sp.diags(1 / np.sqrt(count)) @ matrix
