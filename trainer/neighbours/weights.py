"""How much each kind of neighbourhood counts, chosen on the eval split."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipeline import layout
from trainer.data import WindowData
from trainer.metrics import counts, tower_scores
from trainer.model import RecommenderModel
from trainer.neighbours.scores import Neighbours, NeighbourTable
from trainer.ranks import target_ranks
from trainer.windows import Window

TOP = 100
_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Tried weights, of scores that are scaled to a root mean square of 1."""
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
    """Tries all combinations of weights; of equally good ones the smallest.

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
    kinds = [Neighbours([table], [1.0], model.spec.item_count) for table in tables]
    scales = _scales(model, kinds, batches)
    shares = list(itertools.product(_SHARES, repeat=len(tables)))
    grid = tf.constant(np.array(shares) * scales, tf.float32)
    ranks = _ranks(model, kinds, batches, grid)
    if not ranks.size:
        return None
    gains = np.where(ranks <= TOP, 1 / np.log2(ranks + 1), 0).mean(axis=1)
    best = int(np.argmax(gains))
    return Choice(tuple(float(w) for w in grid[best].numpy()), float(gains[best]), float(gains[0]))


def _scales(model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset) -> np.ndarray:
    """What makes the root mean square of each kind's scores 1, over the first batch; 0 for a kind without scores."""
    history = model.encode(next(iter(batches))).newest().items
    means = np.array([float(tf.reduce_mean(kind.scores(history) ** 2)) for kind in kinds])
    return np.divide(1, np.sqrt(means), out=np.zeros_like(means), where=means > 0)


def _ranks(
    model: RecommenderModel, kinds: Sequence[Neighbours], batches: tf.data.Dataset, grid: tf.Tensor
) -> np.ndarray:
    """The ranks of the warm users' targets by combination: float [G, N]."""
    candidates = model.candidate_embeddings()
    mask_seen = model.config.evaluation.mask_seen

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def ranks(window: Window) -> tf.Tensor:
        state = model.encode(window).newest()
        item, seen = window[layout.ITEM_ID][:, -1], window[layout.SEEN_ITEM_ID]
        scores = tower_scores(model, window, state, candidates)
        added = tf.stack([kind.scores(state.items) for kind in kinds])
        found = tf.map_fn(
            lambda weights: target_ranks(scores + tf.tensordot(weights, added, 1), item, seen, mask_seen), grid
        )
        return tf.boolean_mask(found, counts(window), axis=1)

    return np.concatenate([ranks(window).numpy() for window in batches], axis=1)
