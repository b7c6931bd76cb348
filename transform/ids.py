"""Item and user ids to indexes, and the counts of positive training targets."""

import tensorflow as tf
import tensorflow_transform as tft

from config import feature_names
from transform.counting import VocabularyFile
from transform.features import ITEM_FREQUENCIES, ITEM_VOCABULARY, USER_VOCABULARY
from transform.raw import RawExamples
from transform.vocabularies import TokenCounts

_ITEM_FEATURES = (feature_names.ITEM_ID, feature_names.SEEN_ITEM_ID, feature_names.CATALOGUE_ID)


def item_counts(raw: RawExamples, min_count: int, is_listed: bool) -> TokenCounts:
    """The vocabulary of items: what has `min_count` training events, and all of the catalogue where a table lists it.

    Without a table the catalogue is the log's own items: then all of them only where `min_count` is 1. The weights,
    which order the vocabulary, are the numbers of positive training targets.
    """
    items = raw.strings(feature_names.ITEM_ID)
    events = tf.sparse.retain(items, raw.flag(feature_names.IS_TARGET, items))
    positives = tf.cast(raw.flag(feature_names.IS_POSITIVE, events), tf.int64)
    catalogue = raw.strings(feature_names.CATALOGUE_ID).values
    stays = is_listed or min_count == 1
    enough = tf.fill(tf.shape(catalogue), tf.constant(min_count if stays else 0, tf.int64))
    return TokenCounts(
        VocabularyFile(ITEM_VOCABULARY, ITEM_FREQUENCIES, min_count),
        tokens=tf.concat([events.values, catalogue], axis=0),
        counts=tf.concat([tf.ones_like(positives), enough], axis=0),
        weights=tf.concat([positives, tf.zeros_like(enough)], axis=0),
    )


def item_indexes(raw: RawExamples, path: tf.Tensor) -> dict[str, tf.SparseTensor]:
    """Looks all item ids up in one table.

    Returns:
      `item_id`, `seen_item_id` and `catalogue_id`: int64 in [0, V], V for unknown ids.
    """
    features = [raw.strings(name) for name in _ITEM_FEATURES]
    indexes = tft.apply_vocabulary(tf.concat([f.values for f in features], axis=0), path, num_oov_buckets=1)
    parts = tf.split(indexes, [tf.size(f.values) for f in features])
    return {name: f.with_values(part) for name, f, part in zip(_ITEM_FEATURES, features, parts, strict=True)}


def user_counts(raw: RawExamples, min_count: int) -> TokenCounts:
    """The vocabulary of users with at least `min_count` training events, by their number."""
    users = raw.strings(feature_names.USER_ID)
    events = tf.gather(raw.targets_per_row(), users.indices[:, 0])
    return TokenCounts(VocabularyFile(USER_VOCABULARY, min_count=min_count), users.values, events, events)


def user_indexes(raw: RawExamples, path: tf.Tensor) -> tf.SparseTensor:
    """Looks user ids up: int64 in [0, U], U for unknown users."""
    users = raw.strings(feature_names.USER_ID)
    return tft.apply_vocabulary(users, path, num_oov_buckets=1)
