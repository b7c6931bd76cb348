"""The preprocessing function: raw examples to the transformed examples of docs/data-layout.md."""

from typing import Any

import tensorflow as tf

from pipeline import layout
from pipeline.config import Config, parse_config
from pipeline.config.features import AnyFeature, Cross, MultiValued, Numeric, Text, Time
from transform.features import RAW_NAME, Section, configured
from transform.ids import item_indexes, user_indexes
from transform.kinds.category import categorical, multi_valued
from transform.kinds.cross import cross
from transform.kinds.numeric import numeric
from transform.kinds.text import text
from transform.kinds.time import time
from transform.raw import RawExamples

_UNCHANGED = (layout.TIME, layout.IS_POSITIVE, layout.IS_TARGET, layout.IS_COLD_USER, layout.TARGET_COUNT)


def preprocessing_fn(inputs: dict[str, tf.SparseTensor], custom_config: dict[str, Any]) -> dict[str, tf.SparseTensor]:
    """Transforms a batch of windows, catalogue rows or requests. For the Transform component.

    Args:
      inputs: Raw features, each sparse [B, *]. Any may be empty or lacking.
      custom_config: `config`: the configuration as JSON.

    Returns:
      Transformed features, each sparse [B, *].

    Raises:
      ConfigError: If the configuration is not valid.
      ValueError: If a feature has a fixed shape, or text where numbers belong.
    """
    config = parse_config(custom_config["config"], "custom_config")
    raw = RawExamples(inputs)
    outputs = {name: raw.integers(name) for name in _UNCHANGED}
    for task in config.ranking:
        for name in (layout.label(task), layout.weight(task)):
            outputs[name] = raw.floats(name)
    outputs |= item_indexes(raw, config.features.item_id.min_count)
    outputs[layout.USER_ID] = user_indexes(raw, config.model.user_min_count)
    return outputs | _features(config, raw)


def _features(config: Config, raw: RawExamples) -> dict[str, tf.SparseTensor]:
    return {
        RAW_NAME[section](feature.name): _transform(section, feature, raw) for section, feature in configured(config)
    }


def _transform(section: Section, feature: AnyFeature, raw: RawExamples) -> tf.SparseTensor:
    name = RAW_NAME[section](feature.name)
    if isinstance(feature, Text):
        return text(raw.strings(name), feature, name)
    if isinstance(feature, MultiValued):
        return multi_valued(raw.strings(name), feature, name)
    if isinstance(feature, Cross):
        return cross([raw.strings(RAW_NAME[section](column)) for column in feature.of], feature)
    if isinstance(feature, Time):
        times = raw.integers(name)
        return times.with_values(time(times.values, feature))
    if isinstance(feature, Numeric):
        numbers = raw.floats(name)
        return numbers.with_values(numeric(numbers.values, _analysed(section, numbers, raw), feature))
    strings = raw.strings(name)
    return strings.with_values(categorical(strings.values, _analysed(section, strings, raw), feature, name))


def _analysed(section: Section, values: tf.SparseTensor, raw: RawExamples) -> tf.Tensor:
    """The flat values that full-pass statistics see: of an event only where it is a target, so each event once."""
    if section in ("context", "outcome"):
        return tf.boolean_mask(values.values, raw.flag(layout.IS_TARGET, values))
    return values.values
