"""What requests may bring besides users, histories and exclusions, where the configuration says so."""

from collections.abc import Mapping

import tensorflow as tf

from config import Config, feature_names
from config.serving import ServingConfig

Extras = dict[str, tf.Tensor]
"""By the request's name: strings [B, N], `""` pads; numbers [B], NaN or, of integers, 0 where the request has none."""


def extra_inputs(config: Config) -> dict[str, tf.TensorSpec]:
    """Names, types and shapes as plain tensors; in a tf.Example 32-bit integers are int64, and all may be absent."""
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
    """How the inputs stand in a tf.Example."""
    return {n: tf.io.VarLenFeature(tf.int64 if s.dtype == tf.int32 else s.dtype) for n, s in inputs.items()}


def absent(dtype: tf.DType) -> str | float | int:
    """What stands for no value."""
    return "" if dtype == tf.string else float("nan") if dtype == tf.float32 else 0


def is_given(values: tf.Tensor) -> tf.Tensor:
    """Whether each request has a value: [B] or [B, N] -> bool [B]."""
    if values.dtype == tf.string:
        return tf.reduce_any(values != "", axis=1)
    return ~tf.math.is_nan(values) if values.dtype == tf.float32 else values != 0


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
