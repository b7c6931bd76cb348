"""What a retrieval target is compared with: the whole catalogue, or a sample of it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.distributed.randomness import Randomness
from trainer.distributed.strategies import global_concat
from trainer.losses.targets import RetrievalTargets


class Negatives(NamedTuple):
    """The items that a softmax runs over besides its targets.

    Attributes:
        item: int64 [N], distinct.
        log_weight: float [N], added to their scores: the logarithm of how many items each stands for.
        blocked: int64 [T, M], the positions in `item` of those that are no negatives in each row; distinct, N pads.
    """

    item: tf.Tensor
    log_weight: tf.Tensor
    blocked: tf.Tensor


class NegativeSampler(Protocol):
    """A kind of negatives."""

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """The negatives of this step, the same on every replica.

        Args:
            targets: the T positions of this replica.
            query: float [T, D + 1 + W] of them.
        """


class AllItems:
    """The whole catalogue of V items."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        return Negatives(tf.range(self._size, dtype=tf.int64), tf.zeros([self._size]), targets.blocked)


def make_negatives(item: tf.Tensor, log_weight: tf.Tensor, blocked: tf.Tensor) -> Negatives:
    """Negatives from items int64 [N] with their weights float [N], and the items int64 [T, M] that are none."""
    order = tf.argsort(item)
    item = tf.gather(item, order)
    return Negatives(item, tf.gather(log_weight, order), positions_in(item, blocked))


def positions_in(sorted_items: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """Where items [...] stand among the N sorted ones: int64 [...], N where they do not."""
    count = tf.size(sorted_items, tf.int64)
    position = tf.searchsorted(sorted_items, tf.reshape(item, [-1]), out_type=tf.int64)
    position = tf.reshape(position, tf.shape(item))
    return tf.where(tf.gather(tf.concat([sorted_items, [-1]], axis=0), position) == item, position, count)


class Draws(Protocol):
    """A way to draw items, with replacement."""

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """The draws of this step: int64 [n], the same on every replica."""

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """The logarithm of the probability that one draw gives the item: int64 [...] -> float [...]."""


class SampledNegatives:
    """Items drawn in one or more ways, each there once, corrected for how often it was to be expected.

    Where n_s draws are made in way s, which gives item i with probability q_s(i), i is expected e(i) = the sum of
    n_s q_s(i) times. Drawn c times in all, it stands for c / e(i) items of the full softmax: log(c / e(i)) is added to
    its score, and the sum over the sample estimates the sum over the catalogue without bias (logQ: Bengio and
    Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model", 2008; the
    e of a mixture: Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in Recommendations",
    2020). Targets take part uncorrected, since they are always there (Khrylchenko et al., "Correcting the LogQ
    Correction", 2025).

    Args:
        ways: of drawing.
    """

    def __init__(self, ways: Sequence[Draws]) -> None:
        self._ways = ways
        self._has_batch = any(isinstance(way, BatchDraws) for way in ways)

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        drawn = [way.draw(targets) for way in self._ways]
        item, _, count = tf.unique_with_counts(tf.concat(drawn, axis=0))
        expected = [
            tf.math.log(tf.cast(tf.size(d), tf.float32)) + way.log_share(item)
            for d, way in zip(drawn, self._ways, strict=True)
        ]
        log_expected = tf.reduce_logsumexp(tf.stack(expected), axis=0)
        log_weight = tf.math.log(tf.cast(count, tf.float32)) - log_expected
        return make_negatives(item, log_weight, targets.window_item if self._has_batch else targets.blocked)


class FrequencyDraws:
    """Draws by train frequency plus one.

    Args:
        frequencies: float [V].
        samples: n.
        randomness: of the draws.
    """

    def __init__(self, frequencies: NDArray[np.float32], samples: int, randomness: Randomness) -> None:
        share = (frequencies + 1) / np.sum(frequencies + 1, dtype=np.float64)
        self._log_share = tf.constant(np.log(share), tf.float32)
        self._cumulative = tf.constant(np.cumsum(share)[:-1], tf.float64)
        self._samples = samples
        self._randomness = randomness
        self._site = randomness.new_site()

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """See `Draws`."""
        return self.sample()

    def sample(self) -> tf.Tensor:
        """int64 [n], with repetitions."""
        drawn = tf.random.stateless_uniform([self._samples], self._randomness.global_seed(self._site), dtype=tf.float64)
        return tf.searchsorted(self._cumulative, drawn, side="right", out_type=tf.int64)

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """See `Draws`."""
        return tf.gather(self._log_share, item)


class UniformDraws:
    """Draws every item of the catalogue with the same probability.

    Args:
        size: V.
        samples: n.
        randomness: of the draws.
    """

    def __init__(self, size: int, samples: int, randomness: Randomness) -> None:
        self._size = size
        self._samples = samples
        self._randomness = randomness
        self._site = randomness.new_site()

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """See `Draws`."""
        seed = self._randomness.global_seed(self._site)
        return tf.random.stateless_uniform([self._samples], seed, 0, self._size, tf.int64)

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """See `Draws`."""
        return tf.fill(tf.shape(item), -float(np.log(self._size)))


class BatchDraws:
    """The events that the global batch has its targets at: draws by train frequency, since an epoch has each once.

    A row's own window is no draw by chance. Its future items would weigh in every epoch as if a rare item had turned
    up by luck, against the user who will want it: no item of the own window is a negative.

    Args:
        frequencies: float [V], the number of training targets of each item.
    """

    def __init__(self, frequencies: NDArray[np.float32]) -> None:
        # An item of the eval split that training is fitted on too may be no training target.
        share = np.maximum(frequencies, 1) / np.maximum(np.sum(frequencies, dtype=np.float64), 1)
        self._log_share = tf.constant(np.log(share), tf.float32)

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """See `Draws`."""
        return global_concat(targets.event_item)

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """See `Draws`."""
        return tf.gather(self._log_share, item)
