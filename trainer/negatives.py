"""What a retrieval target is compared with: the whole catalogue, or a sample of it."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.randomness import Randomness

BLOCKED = -1e9
"""Added to the scores of items that are no negatives."""


class Negatives(NamedTuple):
    """The items that a softmax runs over besides its targets.

    Attributes:
        item: int64 [N], distinct.
        log_weight: float [N], added to their scores: the logarithm of how many items each stands for.
    """

    item: tf.Tensor
    log_weight: tf.Tensor


class FrequencySampler:
    """Draws items by their train frequency plus one, with replacement; every replica draws the same.

    An item drawn c times out of n with probability q stands for c / (n q) items of the full softmax: log(c / (n q)) is
    added to its score (the logQ correction: Bengio and Senecal, "Adaptive Importance Sampling to Accelerate Training
    of a Neural Probabilistic Language Model", 2008). Targets take part uncorrected, since they are always there
    (Khrylchenko et al., "Correcting the LogQ Correction", 2025), and the same sum estimates the full softmax's.

    Args:
        frequencies: float [V].
        samples: n, the number of draws.
        randomness: of the draws.
    """

    def __init__(self, frequencies: NDArray[np.float32], samples: int, randomness: Randomness) -> None:
        share = (frequencies + 1) / np.sum(frequencies + 1, dtype=np.float64)
        self._log_share = tf.constant(np.log(share), tf.float32)
        self._cumulative = tf.constant(np.cumsum(share)[:-1], tf.float64)
        self._samples = samples
        self._randomness = randomness
        self._site = randomness.new_site()

    def sample(self) -> Negatives:
        """The negatives of this step."""
        drawn = tf.random.stateless_uniform([self._samples], self._randomness.global_seed(self._site), dtype=tf.float64)
        item, _, count = tf.unique_with_counts(tf.searchsorted(self._cumulative, drawn, side="right"))
        expected = tf.math.log(float(self._samples)) + tf.gather(self._log_share, item)
        return Negatives(tf.cast(item, tf.int64), tf.math.log(tf.cast(count, tf.float32)) - expected)


def all_items(size: int) -> Negatives:
    """The whole catalogue of V items."""
    return Negatives(tf.range(size, dtype=tf.int64), tf.zeros([size]))


def blocked_scores(negatives: Negatives, blocked: tf.Tensor, size: int) -> tf.Tensor:
    """Which negatives must not count in which row.

    Args:
        negatives: N items.
        blocked: int64 [T, M], each row's items that are no negatives; V pads.
        size: V.

    Returns:
        float [T, N]: a large negative number where blocked, else 0.
    """
    count = tf.shape(negatives.item, tf.int64)[0]
    column = tf.tensor_scatter_nd_update(
        tf.fill([size + 1], tf.constant(-1, tf.int64)), negatives.item[:, tf.newaxis], tf.range(count)
    )
    columns = tf.gather(column, blocked)
    found = tf.where(columns >= 0)
    cells = tf.stack([found[:, 0], tf.gather_nd(columns, found)], axis=1)
    rows = tf.shape(blocked, tf.int64)[0]
    return tf.tensor_scatter_nd_update(tf.zeros([rows, count]), cells, tf.fill([tf.shape(cells)[0]], BLOCKED))
