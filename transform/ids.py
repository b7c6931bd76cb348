"""Maps item and user ids to indexes, and counts positive training targets."""

import tensorflow as tf
import tensorflow_transform as tft

from config import feature_names
from transform.counting import VocabularyFile
from transform.features import ITEM_FREQUENCIES, ITEM_VOCABULARY, USER_VOCABULARY
from transform.raw import RawExamples
from transform.vocabularies import TokenCounts

_ITEM_FEATURES = (feature_names.ITEM_ID, feature_names.SEEN_ITEM_ID, feature_names.CATALOGUE_ID)


def item_counts(raw: RawExamples, min_count: int, is_listed: bool) -> TokenCounts:
    """Counts the items: those of `min_count` training events, and all of the catalogue where a table lists it.

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
    """Counts the users with at least `min_count` training events, ordered by their number."""
    users = raw.strings(feature_names.USER_ID)
    events = tf.gather(raw.targets_per_row(), users.indices[:, 0])
    return TokenCounts(VocabularyFile(USER_VOCABULARY, min_count=min_count), users.values, events, events)


def user_indexes(raw: RawExamples, path: tf.Tensor) -> tf.SparseTensor:
    """Looks user ids up: int64 in [0, U], U for unknown users."""
    users = raw.strings(feature_names.USER_ID)
    return tft.apply_vocabulary(users, path, num_oov_buckets=1)


def item_index_table(tft_output: tft.TFTransformOutput) -> tf.lookup.StaticHashTable:
    """Makes a table from raw item ids to the indexes of the transformed examples, for ids of a request; V if unknown.

    The vocabulary file becomes an asset of the SavedModel that tracks the table, so keep the table as an attribute
    of the exported object: otherwise it is not initialised at serving.

    Args:
      tft_output: The transform graph.

    Returns:
      A table from string to int64, for `table.lookup(ids)` with ids a Tensor, SparseTensor or RaggedTensor.

    Raises:
      ValueError: If the transform graph has no item vocabulary.
    """
    path = tft_output.vocabulary_file_by_name(ITEM_VOCABULARY)
    if path is None:
        raise ValueError(
            f"The transform graph should hold the vocabulary `{ITEM_VOCABULARY}`. "
            f"Received: {tft_output.transform_savedmodel_dir}"
        )
    initializer = tf.lookup.TextFileInitializer(
        path,
        key_dtype=tf.string,
        key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        value_dtype=tf.int64,
        value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
    )
    return tf.lookup.StaticHashTable(initializer, tft_output.vocabulary_size_by_name(ITEM_VOCABULARY))
