"""How far a user's taste puts an item above its level."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.habits.factors import Factors


class Taste(tf.Module):
    """A taste found from the history alone, so that users whom training never saw have one too.

    Args:
        factors: of the V items.
    """

    def __init__(self, factors: Factors) -> None:
        super().__init__(name="taste")
        self._size, self._noise = len(factors.item), factors.noise
        self._start = tf.constant(factors.start, tf.float32)
        with self.name_scope:
            self._item = _table(factors.item, "item_factors")
            self._profile = _table(factors.profile, "item_profiles")

    def of(self, history: tf.Tensor, is_told: tf.Tensor, above: tf.Tensor) -> tf.Tensor:
        """The mean of a taste's posterior.

        Args:
            history: int64 [B, L] in [0, V], V for none.
            is_told: bool [B, L], whose label is known.
            above: float [B, L], how far it is above the levels.

        Returns:
            float [B, D].
        """
        factors = tf.gather(self._item, history) * tf.cast(is_told, tf.float32)[..., tf.newaxis]
        precision = tf.matmul(factors, factors, transpose_a=True) / self._noise + tf.eye(factors.shape[-1])
        pull = tf.linalg.matvec(factors, above, transpose_a=True) / self._noise + self._expected(history)
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(precision), pull[..., tf.newaxis])[..., 0]

    def above(self, taste: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """The expected label above the levels: float [B, D] and int64 [B, N] in [0, V] -> float [B, N], 0 for V."""
        return tf.linalg.matvec(tf.gather(self._item, item), taste)

    def _expected(self, history: tf.Tensor) -> tf.Tensor:
        """float [B, D] before any label."""
        count = tf.math.count_nonzero(history < self._size, axis=1, keepdims=True, dtype=tf.float32)
        return self._start + tf.reduce_sum(tf.gather(self._profile, history), axis=1) / tf.sqrt(count + 1)


def _table(values: NDArray[np.float64], name: str) -> tf.Variable:
    """[V, D] with a row of zeros for the unknown item."""
    return tf.Variable(np.pad(values, [(0, 1), (0, 0)]).astype(np.float32), trainable=False, name=name)
