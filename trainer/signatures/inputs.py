"""What requests may bring besides users, histories and exclusions, where the configuration says so."""

from collections.abc import Mapping

import tensorflow as tf

from pipeline import layout
from pipeline.config import Config
from pipeline.config.features import Numeric, Time

Extras = dict[str, tf.Tensor]
"""By the request's name: strings [B, N], `""` pads; numbers [B], NaN or, of integers, 0 where the request has none."""


def extra_inputs(config: Config) -> dict[str, tf.TensorSpec]:
    """Names, types and shapes as plain tensors; in a tf.Example 32-bit integers are int64, and all may be absent."""
    serving = config.serving
    kinds: dict[str, tuple[tf.DType, int]] = {layout.ALLOW_ITEM_ID: (tf.string, 2)} if serving.allow_list else {}
    features = {feature.name: feature for feature in config.features.item}
    for name in serving.filters:
        feature = features[name]
        if isinstance(feature, Numeric | Time):
            dtype = tf.int64 if isinstance(feature, Time) else tf.float32
            kinds |= dict.fromkeys((layout.at_least(name), layout.at_most(name)), (dtype, 1))
        else:
            kinds[layout.any_of(name)] = (tf.string, 2)
    if serving.diversity is not None:
        kinds[layout.DIVERSITY] = (tf.float32, 1)
        kinds |= {layout.cap(name): (tf.int32, 1) for name in serving.caps}
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
