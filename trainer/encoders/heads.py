"""What the attention of several heads has in common: split vectors, biases by distance and by time."""

import tensorflow as tf

from trainer.encoders.lags import GAP_BUCKETS, gap_buckets


def split_heads(values: tf.Tensor, parts: int, heads: int) -> list[tf.Tensor]:
    """float [B, L, parts D] -> `parts` times float [B, H, L, D / H].

    Raises:
        ValueError: D is no multiple of the heads.
    """
    batch, length, dimension = tf.shape(values)[0], tf.shape(values)[1], values.shape[-1] // parts
    if dimension % heads:
        raise ValueError(f"`model.dimension` should be a multiple of `heads`. Received: {dimension} and {heads}")
    split = tf.reshape(values, [batch, length, parts, heads, dimension // heads])
    return tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]))


def merge_heads(values: tf.Tensor) -> tf.Tensor:
    """float [B, H, L, W] -> float [B, L, H W]."""
    batch, length = tf.shape(values)[0], tf.shape(values)[2]
    return tf.reshape(tf.transpose(values, [0, 2, 1, 3]), [batch, length, values.shape[1] * values.shape[3]])


class DistanceBias(tf.keras.layers.Layer):
    """A learned number for each distance between two places and each head, from zero (Raffel et al., 2020).

    Args:
        heads: H.
        distances: bounds the distance; all longer ones share the last number.
    """

    def __init__(self, heads: int, distances: int, name: str = "distance_bias") -> None:
        super().__init__(name=name)
        self._distances = distances
        self.table = self.add_weight(name="table", shape=[heads, distances], initializer="zeros")

    def call(self, length: tf.Tensor) -> tf.Tensor:
        """int scalar L -> float [H, L, L]: of events (last axis) at positions; 0 stands for all that lie ahead."""
        place = tf.range(length)
        distance = tf.clip_by_value(place[:, tf.newaxis] - place, 0, self._distances - 1)
        return tf.gather(self.table, distance, axis=1)


class TimeBias(tf.keras.layers.Layer):
    """A learned number for each power of two of the seconds between two events and each head, from zero.

    Args:
        heads: H.
    """

    def __init__(self, heads: int, name: str = "time_bias") -> None:
        super().__init__(name=name)
        self.table = self.add_weight(name="table", shape=[heads, GAP_BUCKETS], initializer="zeros")

    def call(self, buckets: tf.Tensor) -> tf.Tensor:
        """int32 [B, L, L], `time_buckets` -> float [B, H, L, L]."""
        # Along the second axis, where the gradient is a dense table and not one row for each pair of events.
        return tf.transpose(tf.gather(self.table, buckets, axis=1), [1, 0, 2, 3])


def time_buckets(times: tf.Tensor) -> tf.Tensor:
    """int64 [B, L], 0 where unknown -> int32 [B, L, L]: `gap_buckets` of the events (last axis) at positions."""
    return gap_buckets(times[:, :, tf.newaxis], times[:, tf.newaxis], GAP_BUCKETS)
