"""What one call may bring: more is refused inside the graph, before anything is made of it.

A failed assertion is INVALID_ARGUMENT in every server.
"""

import tensorflow as tf

from pipeline.config.serving import ServingConfig


class Limits:
    """The bounds of `serving`.

    Args:
        serving: the configuration.
    """

    def __init__(self, serving: ServingConfig) -> None:
        self._serving = serving

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """The values [B, ...], of which each is a request."""
        return self._checked(values, tf.shape(values)[0], "max_rows", "a call should bring at most {} requests")

    def candidates(self, values: tf.Tensor | tf.SparseTensor, name: str) -> tf.Tensor | tf.SparseTensor:
        """The items, or values of items, that each request names: [B, N]."""
        return self._of_request(values, "max_candidates", name)

    def exclusions(self, values: tf.Tensor | tf.SparseTensor, name: str) -> tf.Tensor | tf.SparseTensor:
        """The items that each request excludes: [B, N]."""
        return self._of_request(values, "max_exclusions", name)

    def embedded(self, items: tf.Tensor, name: str) -> tf.Tensor:
        """The items that a call asks for: [B]."""
        told = f"a call should bring at most {{}} values of `{name}`"
        return self._checked(items, tf.shape(items)[0], "max_candidates", told)

    def _of_request(self, values: tf.Tensor | tf.SparseTensor, key: str, name: str) -> tf.Tensor | tf.SparseTensor:
        told = f"a request should bring at most {{}} values of `{name}`"
        if isinstance(values, tf.SparseTensor):
            found = self._checked(values.values, tf.cast(values.dense_shape[1], tf.int32), key, told)
            return tf.SparseTensor(values.indices, found, values.dense_shape)
        return self._checked(values, tf.shape(values)[1], key, told)

    def _checked(self, values: tf.Tensor, count: tf.Tensor, key: str, told: str) -> tf.Tensor:
        """The values, once it is known that they are not more than the key says."""
        most = getattr(self._serving, key)
        message = f"{told.format(most)} (`serving.{key}`). Received: "
        with tf.control_dependencies([tf.debugging.Assert(count <= most, [message, count])]):
            return tf.identity(values)
