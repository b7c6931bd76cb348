"""The preprocessing function: raw examples to the transformed examples of docs/reference/data-layout.md."""

from typing import Any

import tensorflow as tf

from config import Config, feature_names, parse_config
from config.features import Categorical, Cross, MultiValued, Numeric, Text, Time
from transform.counting import VocabularyFile
from transform.features import ITEM_VOCABULARY, RAW_NAME, USER_VOCABULARY, Section, configured
from transform.ids import item_counts, item_indexes, user_counts, user_indexes
from transform.kinds import cross, multi_valued, numeric, time
from transform.raw import RawExamples
from transform.text import text
from transform.trend import count_trend
from transform.vocabularies import TokenCounts, vocabulary_indexes, vocabulary_paths

_FINGERPRINTS = (1 << 63) - 1
_UNCHANGED = (
    feature_names.TIME,
    feature_names.IS_POSITIVE,
    feature_names.IS_TARGET,
    feature_names.IS_COLD_USER,
    feature_names.TARGET_COUNT,
    feature_names.SEEN_START,
    feature_names.SEEN_COUNT,
)


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
    strings = {
        RAW_NAME[section](feature.name): (section, feature, _strings(section, feature, raw))
        for section, feature in configured(config)
        if isinstance(feature, Categorical)
    }
    counts = [_counts(name, *entry, raw) for name, entry in strings.items()]
    items = item_counts(raw, config.features.item_id.min_count, is_listed=config.data.items is not None)
    ids = [items, user_counts(raw, config.model.user_min_count)]
    paths = vocabulary_paths([*ids, *counts])
    if config.trend is not None:
        count_trend(raw, config.trend)
    outputs = _unchanged(config, raw) | item_indexes(raw, paths[ITEM_VOCABULARY])
    outputs[feature_names.USER_ID] = user_indexes(raw, paths[USER_VOCABULARY])
    for name, (_, feature, values) in strings.items():
        outputs[name] = values.with_values(vocabulary_indexes(values.values, paths[name], feature.oov_buckets))
    return outputs | _without_vocabulary(config, raw)


def _unchanged(config: Config, raw: RawExamples) -> dict[str, tf.SparseTensor]:
    sessions = {n: _session(n, raw) for n in map(feature_names.session, config.sessions)}
    floats = {n: raw.floats(n) for n in config.label_features}
    return {n: raw.integers(n) for n in _UNCHANGED} | sessions | floats | {feature_names.USER_KEY: _user_key(raw)}


def _user_key(raw: RawExamples) -> tf.SparseTensor:
    """A fingerprint of the user's id, which tells users apart that the vocabulary does not know."""
    users = raw.strings(feature_names.USER_ID)
    return users.with_values(tf.strings.to_hash_bucket_fast(users.values, _FINGERPRINTS))


def _session(name: str, raw: RawExamples) -> tf.SparseTensor:
    """A fingerprint of each event's session; -1 where it has none."""
    sessions = raw.strings(name)
    key = tf.strings.to_hash_bucket_fast(sessions.values, _FINGERPRINTS)
    return sessions.with_values(tf.where(tf.equal(sessions.values, ""), tf.constant(-1, tf.int64), key))


def _strings(section: Section, feature: Categorical, raw: RawExamples) -> tf.SparseTensor:
    """What a vocabulary is made of and looked up in: values or words."""
    values = raw.strings(RAW_NAME[section](feature.name))
    if isinstance(feature, Text):
        return text(values, feature.max_tokens)
    return multi_valued(values) if isinstance(feature, MultiValued) else values


def _counts(
    name: str, section: Section, feature: Categorical, values: tf.SparseTensor, raw: RawExamples
) -> TokenCounts:
    tokens = _analysed(section, values, raw)
    ones = tf.ones_like(tokens, tf.int64)
    file = VocabularyFile(name, min_count=feature.min_count, max_values=feature.max_values)
    return TokenCounts(file, tokens, counts=ones, weights=ones)


def _without_vocabulary(config: Config, raw: RawExamples) -> dict[str, tf.SparseTensor]:
    return {
        RAW_NAME[section](feature.name): _transform(section, feature, raw)
        for section, feature in configured(config)
        if not isinstance(feature, Categorical)
    }


def _transform(section: Section, feature: Cross | Numeric | Time, raw: RawExamples) -> tf.SparseTensor:
    name = RAW_NAME[section](feature.name)
    if isinstance(feature, Cross):
        return cross([raw.strings(RAW_NAME[section](column)) for column in feature.of], feature)
    if isinstance(feature, Time):
        times = raw.integers(name)
        return times.with_values(time(times.values, feature))
    numbers = raw.floats(name)
    return numbers.with_values(numeric(numbers.values, _analysed(section, numbers, raw), feature))


def _analysed(section: Section, values: tf.SparseTensor, raw: RawExamples) -> tf.Tensor:
    """The flat values that full-pass statistics see: of an event only where it is a target, so each event once."""
    if section in ("context", "outcome"):
        return tf.boolean_mask(values.values, raw.flag(feature_names.IS_TARGET, values))
    return values.values
