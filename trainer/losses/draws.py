"""Ways to draw negatives: by train frequency, uniformly, or from the batch."""

from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.distributed.collectives import global_concat
from trainer.distributed.randomness import Randomness
from trainer.losses.targets import RetrievalTargets


class Draws(Protocol):
    """A way to draw items, with replacement."""

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """Draws items for this step: int64 [n], the same on every replica."""

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """Returns the logarithm of the probability that one draw gives the item: int64 [...] to float [...]."""


class FrequencyDraws:
    """Draws by train frequency plus one.

    Args:
        frequencies: float [V].
        samples: n.
        randomness: Of the draws.
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
        """Draws int64 [n], with repetitions, by inverting the cumulative distribution."""
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
        randomness: Of the draws.
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
    """Takes the target events of the global batch: draws by train frequency, since an epoch has each event once.

    The items of a row's own window are not drawn independently of the row. As negatives its future items would count in
    every epoch as if a rare item had been drawn by chance, against the user who will want it: no item of the row's own
    window is a negative.

    Args:
        frequencies: float [V], the number of training targets of each item.
    """

    def __init__(self, frequencies: NDArray[np.float32]) -> None:
        # An item of the eval split, where training uses it too, may be no training target.
        share = np.maximum(frequencies, 1) / np.maximum(np.sum(frequencies, dtype=np.float64), 1)
        self._log_share = tf.constant(np.log(share), tf.float32)

    def draw(self, targets: RetrievalTargets) -> tf.Tensor:
        """See `Draws`."""
        return global_concat(targets.event_item)

    def log_share(self, item: tf.Tensor) -> tf.Tensor:
        """See `Draws`."""
        return tf.gather(self._log_share, item)
