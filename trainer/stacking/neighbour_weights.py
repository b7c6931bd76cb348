"""How much each kind of neighbourhood counts, chosen on the eval split."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from trainer.data.user_sample import UserSample
from trainer.data.windows import Window
from trainer.metrics.ranks import target_ranks
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import Neighbours, NeighbourTable
from trainer.training.validation import UserGains, standard_error

TOP = 100
_SHARES = (0.0, 0.1, 0.4, 1.6)
"""Tried weights, of scores that are scaled to a root mean square of 1."""
_NEARER = (0.5, 1.0, 2.0)
"""Then each of the best is tried times these."""
_CELLS = 1 << 24
_SCALED = 8
"""Batches that tell the size of scores."""


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        weights: of each table.
        gain: NDCG@100 of the sampled eval users with them.
        gain_without: and without neighbourhoods.
        gain_alone: and with each table alone, at the best of its weights.
        error: the standard error of what the chosen weights add; of the best of the others where none is chosen.
        users: the number of users.
    """

    weights: tuple[float, ...]
    gain: float
    gain_without: float
    gain_alone: tuple[float, ...]
    error: float
    users: int


def choose_weights(model: RecommenderModel, tables: Sequence[NeighbourTable], sample: UserSample) -> Choice | None:
    """Tries all combinations of weights, then those around the best; of equally good ones the first.

    Args:
        model: trained.
        tables: the kinds.
        sample: of the eval split.

    Returns:
        None where no window has a target that counts.
    """
    size = model.spec.item_count
    rows = max(1, min(128, _CELLS // size))
    batches = sample.batches(rows)
    kinds = [Neighbours([table], size) for table in tables]
    scales, gains = _scales(model, kinds, batches), _Gains(model, kinds, sample, batches)
    coarse = _combinations([_SHARES] * len(kinds))
    of_coarse = gains.of(coarse * scales)
    if not of_coarse.size:
        return None
    means = of_coarse.mean(axis=1)
    near = _combinations([np.unique(share * np.array(_NEARER)) for share in coarse[np.argmax(means)]])
    tried, of_tried = np.concatenate([coarse, near]), np.concatenate([of_coarse, gains.of(near * scales)])
    best = int(np.argmax(of_tried.mean(axis=1)))
    other = best or 1 + int(np.argmax(of_tried[1:].mean(axis=1)))
    is_alone = (tried > 0).sum(axis=1) == 1
    return Choice(
        tuple(map(float, tried[best] * scales)),
        float(of_tried[best].mean()),
        float(means[0]),
        tuple(float(of_tried[is_alone & (tried[:, n] > 0)].mean(axis=1).max()) for n in range(len(kinds))),
        standard_error(of_tried[other] - of_tried[0]),
        of_tried.shape[1],
    )


def _combinations(shares: Iterable[Sequence[float] | NDArray[np.float64]]) -> NDArray[np.float64]:
    """One of each kind's shares: float [G, kinds], the first of the first ones."""
    return np.array(list(itertools.product(*shares)))


def _scales(model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset) -> NDArray[np.float64]:
    """What makes the root mean square of each kind's scores 1, over the histories that have any; 0 for a kind without
    scores."""
    histories = [model.encode_newest(window).items for window in batches.take(_SCALED)]
    means = np.array([_mean_square(kind, histories) for kind in kinds])
    return np.divide(1, np.sqrt(means), out=np.zeros_like(means), where=means > 0)


def _mean_square(kind: Neighbours, histories: Sequence[tf.Tensor]) -> float:
    squares = np.concatenate([tf.reduce_mean(kind.scores(history) ** 2, axis=1).numpy() for history in histories])
    return float(squares[squares > 0].mean()) if squares.any() else 0.0


class _Gains:
    """NDCG@100 of the sampled users.

    Args:
        model: trained.
        kinds: of neighbourhoods.
        sample: of the eval split.
        batches: its windows.
    """

    def __init__(
        self, model: RecommenderModel, kinds: Sequence[Neighbours], sample: UserSample, batches: tf.data.Dataset
    ) -> None:
        self._model, self._kinds, self._sample, self._batches = model, kinds, sample, batches
        self._candidates = model.candidate_embeddings()
        weights = tf.TensorSpec([None, len(kinds)])
        signature = [batches.element_spec, weights]
        self._ranks = tf.function(self._ranks_of, input_signature=signature, autograph=False)

    def of(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """By combination of the kinds' weights [G, kinds] and user: float [G, n]; [0] where no window has a target that
        counts."""
        grid = tf.constant(weights, tf.float32)
        found = zip(*(self._ranks(window, grid) for window in self._batches), strict=True)
        ranks, is_counted = (np.concatenate(parts, axis=-1) for parts in found)
        if not is_counted.any():
            return np.zeros(0)
        gains = UserGains(self._sample, is_counted, self._model.config.split.history == "frozen")
        return np.stack([gains.ndcg(rank, TOP) for rank in ranks])

    def _ranks_of(self, window: Window, grid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float [G, B], and whether the targets count, bool [B]."""
        state = self._model.encode_newest(window)
        item, seen = window[feature_names.ITEM_ID][:, -1], window[feature_names.SEEN_ITEM_ID]
        scores = self._model.retrieval_scores(window, state, self._candidates)
        added = tf.stack([kind.scores(state.items) for kind in self._kinds])
        mask_seen = self._model.config.evaluation.mask_seen
        found = tf.map_fn(
            lambda weights: target_ranks(scores + tf.tensordot(weights, added, 1), item, seen, mask_seen), grid
        )
        return found, window[feature_names.IS_POSITIVE][:, -1]
