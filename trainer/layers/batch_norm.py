"""Batch normalisation over the global batch."""

import tensorflow as tf

_EPSILON, _MOMENTUM, _RAMP = 1e-3, 0.99, 9


class BatchNorm(tf.keras.layers.Layer):
    """Each channel with mean 0 and deviation 1 over the batch, then scaled and shifted by learned numbers.

    Ioffe and Szegedy, "Batch Normalization" (2015). Mean and variance are those of the global batch, whatever the
    number of replicas, and padding has no part in them. Outside training they are moving averages. After t batches
    these keep the share min(0.99, t / (9 + t)) of themselves, so that nothing is left of what they start with, which
    may be far from what the layers below give.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds scale, offset and the moving averages: input float [..., C]."""
        channels = [input_shape[-1]]
        self.scale = self.add_weight(name="gamma", shape=channels, initializer="ones")
        self.offset = self.add_weight(name="beta", shape=channels, initializer="zeros")
        moving = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.mean = self.add_weight(name="moving_mean", shape=channels, initializer="zeros", **moving)
        self.variance = self.add_weight(name="moving_variance", shape=channels, initializer="ones", **moving)
        self.batches = self.add_weight(name="batches", shape=[], initializer="zeros", **moving)
        super().build(input_shape)

    def call(self, values: tf.Tensor, counts: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Normalises.

        Args:
            values: float [..., C].
            counts: bool [...], what the batch's mean and variance are taken over; all when missing.
            training: whether to normalise by the batch and to move the averages.

        Returns:
            float [..., C].
        """
        mean, variance = self._moments(values, counts) if training else (self.mean, self.variance)
        return (values - mean) * (tf.math.rsqrt(variance + _EPSILON) * self.scale) + self.offset

    def _moments(self, values: tf.Tensor, counts: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        flat = tf.reshape(values, [-1, values.shape[-1]])
        weight = tf.ones_like(flat[:, 0]) if counts is None else tf.cast(tf.reshape(counts, [-1]), flat.dtype)
        sums = [tf.reduce_sum(weight), tf.linalg.matvec(flat, weight, transpose_a=True)]
        count, total = _sum_over_replicas(sums)
        mean = tf.math.divide_no_nan(total, count)
        # Around the mean: the mean of squares less the square of the mean loses digits.
        (squares,) = _sum_over_replicas([tf.linalg.matvec((flat - mean) ** 2, weight, transpose_a=True)])
        variance = tf.math.divide_no_nan(squares, count)
        is_any, batches = tf.cast(count > 0, flat.dtype), self.batches.read_value()
        moved = is_any * (1 - tf.minimum(_MOMENTUM, batches / (_RAMP + batches)))
        self.batches.assign_add(is_any)
        self.mean.assign_add(moved * (mean - self.mean))
        self.variance.assign_add(moved * (variance - self.variance))
        return mean, variance


def _sum_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """The sums of all replicas' tensors, through which gradients flow to all replicas."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
