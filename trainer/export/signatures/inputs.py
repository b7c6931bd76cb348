"""The optional inputs of requests that the configuration adds, and the limits of requests."""

from collections.abc import Mapping

import tensorflow as tf

from config import Config, feature_names
from config.serving import ServingConfig

Extras = dict[str, tf.Tensor]
"""Optional inputs by name: strings [B, N], padded with `""`; numbers [B], NaN (of integers 0) where absent."""


def extra_inputs(config: Config) -> dict[str, tf.TensorSpec]:
    """Returns the optional inputs as plain tensors; in a tf.Example 32-bit integers are int64, all may be absent."""
    serving = config.serving
    kinds: dict[str, tuple[tf.DType, int]] = {feature_names.ALLOW_ITEM_ID: (tf.string, 2)} if serving.allow_list else {}
    features = {feature.name: feature for feature in config.features.item}
    for name in serving.filters:
        feature = features[name]
        if feature.is_ordered:
            dtype = tf.int64 if feature.value_kind == "time" else tf.float32
            kinds |= dict.fromkeys((feature_names.at_least(name), feature_names.at_most(name)), (dtype, 1))
        else:
            kinds[feature_names.any_of(name)] = (tf.string, 2)
    if serving.diversity is not None:
        kinds[feature_names.DIVERSITY] = (tf.float32, 1)
        kinds |= {feature_names.cap(name): (tf.int32, 1) for name in serving.caps}
    return {name: tf.TensorSpec([None] * rank, dtype, name) for name, (dtype, rank) in kinds.items()}


def parsing_specs(inputs: Mapping[str, tf.TensorSpec]) -> dict[str, tf.io.VarLenFeature]:
    """Returns how to parse the inputs from a tf.Example."""
    return {n: tf.io.VarLenFeature(tf.int64 if s.dtype == tf.int32 else s.dtype) for n, s in inputs.items()}


def absent(dtype: tf.DType) -> str | float | int:
    """Returns the value that stands for no value."""
    return "" if dtype == tf.string else float("nan") if dtype == tf.float32 else 0


def is_given(values: tf.Tensor) -> tf.Tensor:
    """Returns whether each request has a value: [B] or [B, N] -> bool [B]."""
    if values.dtype == tf.string:
        return tf.reduce_any(values != "", axis=1)
    return ~tf.math.is_nan(values) if values.dtype == tf.float32 else values != 0


class Limits:
    """Checks requests against the limits of `serving`; a call that exceeds one fails as an invalid argument.

    Args:
        serving: the configuration.
    """

    def __init__(self, serving: ServingConfig) -> None:
        self._serving = serving

    def rows(self, values: tf.Tensor) -> tf.Tensor:
        """Limits the requests of a call: [B, ...]."""
        return self._checked(values, tf.shape(values)[0], "max_rows", "a call should bring at most {} requests")

    def candidates(self, values: tf.Tensor | tf.SparseTensor, name: str) -> tf.Tensor | tf.SparseTensor:
        """Limits the items, or values of items, that each request names: [B, N]."""
        return self._of_request(values, "max_candidates", name)

    def exclusions(self, values: tf.Tensor | tf.SparseTensor, name: str) -> tf.Tensor | tf.SparseTensor:
        """Limits the items that each request excludes: [B, N]."""
        return self._of_request(values, "max_exclusions", name)

    def embedded(self, items: tf.Tensor, name: str) -> tf.Tensor:
        """Limits the items of a call of `embed_candidate`: [B]."""
        message = f"a call should bring at most {{}} values of `{name}`"
        return self._checked(items, tf.shape(items)[0], "max_candidates", message)

    def _of_request(self, values: tf.Tensor | tf.SparseTensor, key: str, name: str) -> tf.Tensor | tf.SparseTensor:
        message = f"a request should bring at most {{}} values of `{name}`"
        if isinstance(values, tf.SparseTensor):
            found = self._checked(values.values, tf.cast(values.dense_shape[1], tf.int32), key, message)
            return tf.SparseTensor(values.indices, found, values.dense_shape)
        return self._checked(values, tf.shape(values)[1], key, message)

    def _checked(self, values: tf.Tensor, count: tf.Tensor, key: str, message: str) -> tf.Tensor:
        """Returns the values after an assertion that their count is within the limit `key`."""
        most = getattr(self._serving, key)
        message = f"{message.format(most)} (`serving.{key}`). Received: "
        with tf.control_dependencies([tf.debugging.Assert(count <= most, [message, count])]):
            return tf.identity(values)
