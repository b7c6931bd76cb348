"""Item and user ids to indexes, and the counts of positive training targets."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from pipeline import layout
from transform.features import ITEM_FREQUENCIES, ITEM_VOCABULARY, USER_VOCABULARY
from transform.raw import RawExamples

_FREQUENT_ITEMS = "item_id_frequent"
_ITEM_FEATURES = (layout.ITEM_ID, layout.SEEN_ITEM_ID, layout.CATALOGUE_ID)


def item_indexes(raw: RawExamples, min_count: int) -> dict[str, tf.SparseTensor]:
    """Looks all item ids up in one vocabulary of the catalogue's and the training events' ids.

    Args:
      raw: The examples.
      min_count: An item that is not in the catalogue is known from so many training events on.

    Returns:
      `item_id`, `seen_item_id` and `catalogue_id`: int64 in [0, V], V for unknown ids.
    """
    ids, positives = _analysed_items(raw, min_count)
    vocabulary = tft.vocabulary(ids, weights=positives, vocab_filename=ITEM_VOCABULARY)
    tft.vocabulary(ids, weights=positives, vocab_filename=ITEM_FREQUENCIES, store_frequency=True)
    features = [raw.strings(name) for name in _ITEM_FEATURES]
    return dict(zip(_ITEM_FEATURES, _apply_once(features, vocabulary), strict=True))


def user_indexes(raw: RawExamples, min_count: int) -> tf.SparseTensor:
    """Looks user ids up in the vocabulary of users with at least `min_count` training events.

    Returns:
      int64 in [0, U], U for unknown users.
    """
    users = raw.strings(layout.USER_ID)
    events = tf.gather(raw.targets_per_row(), users.indices[:, 0])
    vocabulary = tft.vocabulary(
        users.values, weights=events, frequency_threshold=min_count, vocab_filename=USER_VOCABULARY
    )
    return tft.apply_vocabulary(users, vocabulary, num_oov_buckets=1)


def _analysed_items(raw: RawExamples, min_count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The ids that the vocabulary counts, flat, and the weight of each: 1 for a positive target, else 0."""
    items = raw.strings(layout.ITEM_ID)
    targets = tf.sparse.retain(items, raw.flag(layout.IS_TARGET, items))
    events, positives = targets.values, tf.cast(raw.flag(layout.IS_POSITIVE, targets), tf.int64)
    catalogue = raw.strings(layout.CATALOGUE_ID).values
    ids = tf.concat([events, catalogue], axis=0)
    positives = tf.concat([positives, tf.zeros_like(catalogue, tf.int64)], axis=0)
    if min_count == 1:
        return ids, positives
    counts = tf.concat([tf.ones_like(events, tf.int64), tf.fill(tf.shape(catalogue), tf.cast(min_count, tf.int64))], 0)
    is_known = _has_weight(ids, counts, min_count)
    return tf.boolean_mask(ids, is_known), tf.boolean_mask(positives, is_known)


def _has_weight(ids: tf.Tensor, weights: tf.Tensor, threshold: int) -> tf.Tensor:
    """Whether the weights of an id sum to the threshold in all the data: bool, flat. Costs a pass of its own."""
    vocabulary = tft.vocabulary(ids, weights=weights, frequency_threshold=threshold, vocab_filename=_FREQUENT_ITEMS)
    return tft.apply_vocabulary(ids, vocabulary, default_value=-1) >= 0


def _apply_once(features: Sequence[tf.SparseTensor], vocabulary: tf.Tensor) -> list[tf.SparseTensor]:
    """One lookup, so one table in memory, for several features."""
    flat = tf.concat([f.values for f in features], axis=0)
    indexes = tft.apply_vocabulary(flat, vocabulary, num_oov_buckets=1)
    parts = tf.split(indexes, [tf.size(f.values) for f in features])
    return [f.with_values(part) for f, part in zip(features, parts, strict=True)]
