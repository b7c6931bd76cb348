"""Raw ids to indexes outside the transform graph: for ids that are in a request but in no example."""

import tensorflow as tf
import tensorflow_transform as tft

from transform.features import ITEM_VOCABULARY


def item_index_table(tft_output: tft.TFTransformOutput) -> tf.lookup.StaticHashTable:
    """A table from raw item ids to the indexes that the transformed examples hold, unknown ids to V.

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
