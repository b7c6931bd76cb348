"""How much each kind of neighbourhood counts, chosen on the eval split."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import layout
from trainer.data import WindowData
from trainer.metrics import counts, tower_scores
from trainer.model import RecommenderModel
from trainer.neighbours.scores import Neighbours, NeighbourTable
from trainer.ranks import target_ranks
from trainer.windows import Window

TOP = 100
_SHARES = (0.0, 0.1, 0.4, 1.6)
"""Tried weights, of scores that are scaled to a root mean square of 1."""
_NEARER = (0.5, 1.0, 2.0)
"""Then each of the best is tried times these."""
_CELLS = 1 << 24
_WINDOWS = 5000
"""Eval windows at most: with so many the standard error of NDCG is about a hundredth of it."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        weights: of each table.
        gain: NDCG@100 of the eval targets with them.
        gain_without: and without neighbourhoods.
    """

    weights: tuple[float, ...]
    gain: float
    gain_without: float


def choose_weights(model: RecommenderModel, tables: Sequence[NeighbourTable], data: WindowData) -> Choice | None:
    """Tries all combinations of weights, then those around the best; of equally good ones the first.

    Args:
        model: trained.
        tables: the kinds.
        data: the eval split.

    Returns:
        None where no window has a target that counts.
    """
    size = model.spec.item_count
    rows = max(1, min(128, _CELLS // size))
    batches = data.evaluation_batches(rows).take(-(-_WINDOWS // rows))
    kinds = [Neighbours([table], size) for table in tables]
    scales, gains = _scales(model, kinds, batches), _Gains(model, kinds, batches)
    coarse = _combinations([_SHARES] * len(kinds))
    of_coarse = gains.of(coarse * scales)
    if not of_coarse.size:
        return None
    near = _combinations([np.unique(share * np.array(_NEARER)) for share in coarse[np.argmax(of_coarse)]])
    of_near = gains.of(near * scales)
    weights = near[np.argmax(of_near)] * scales
    return Choice(tuple(map(float, weights)), float(np.max(of_near)), float(of_coarse[0]))


def _combinations(shares: Iterable[Sequence[float] | NDArray[np.float64]]) -> NDArray[np.float64]:
    """One of each kind's shares: float [G, kinds], the first of the first ones."""
    return np.array(list(itertools.product(*shares)))


def _scales(model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset) -> NDArray[np.float64]:
    """What makes the root mean square of each kind's scores 1, over the first batch; 0 for a kind without scores."""
    history = model.encode_newest(next(iter(batches))).items
    means = np.array([float(tf.reduce_mean(kind.scores(history) ** 2)) for kind in kinds])
    return np.divide(1, np.sqrt(means), out=np.zeros_like(means), where=means > 0)


class _Gains:
    """NDCG@100 of the warm users' targets.

    Args:
        model: trained.
        kinds: of neighbourhoods.
        batches: of eval windows.
    """

    def __init__(self, model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset) -> None:
        self._model, self._kinds, self._batches = model, kinds, batches
        self._candidates = model.candidate_embeddings()
        weights = tf.TensorSpec([None, len(kinds)])
        signature = [batches.element_spec, weights]
        self._ranks = tf.function(self._ranks_of, input_signature=signature, autograph=False)

    def of(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """By combination of the kinds' weights [G, kinds]: float [G]; [0] where no window has a target that counts."""
        grid = tf.constant(weights, tf.float32)
        ranks = np.concatenate([self._ranks(window, grid).numpy() for window in self._batches], axis=1)
        return np.where(ranks <= TOP, 1 / np.log2(ranks + 1), 0).mean(axis=1) if ranks.size else np.zeros(0)

    def _ranks_of(self, window: Window, grid: tf.Tensor) -> tf.Tensor:
        """float [G, N]."""
        state = self._model.encode_newest(window)
        item, seen = window[layout.ITEM_ID][:, -1], window[layout.SEEN_ITEM_ID]
        scores = tower_scores(self._model, window, state, self._candidates)
        added = tf.stack([kind.scores(state.items) for kind in self._kinds])
        mask_seen = self._model.config.evaluation.mask_seen
        found = tf.map_fn(
            lambda weights: target_ranks(scores + tf.tensordot(weights, added, 1), item, seen, mask_seen), grid
        )
        return tf.boolean_mask(found, counts(window), axis=1)
