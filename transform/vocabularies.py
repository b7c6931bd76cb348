"""Maps strings to indexes by vocabularies of the training data.

All vocabularies of a data set are counted together, in one Beam shuffle: `tft.vocabulary` costs about fifty Beam
transforms each, which on small data is most of the time that Transform takes.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_transform as tft

from transform.counting import VocabularyFile, WriteVocabularies

_UNTIL_WRITTEN = b"-"
"""The placeholder of a vocabulary while the graph is traced, before the data are read."""


@dataclass(frozen=True)
class TokenCounts:
    """The tokens of one vocabulary.

    Attributes:
      file: Its name and limits.
      tokens: string, flat. Empty ones and those with line breaks do not enter.
      counts: int64, flat: what each token adds to its count, which is compared with `min_count`.
      weights: int64, flat: what each token adds to its weight, which orders the vocabulary.
    """

    file: VocabularyFile
    tokens: tf.Tensor
    counts: tf.Tensor
    weights: tf.Tensor


def vocabulary_paths(vocabularies: Sequence[TokenCounts]) -> dict[str, tf.Tensor]:
    """Counts tokens over all analysed data and writes the vocabularies, by falling weight, then by token.

    Args:
      vocabularies: Their names (and those of their weights' files) should differ.

    Returns:
      The path of each file by its name, for `vocabulary_indexes`. The files travel with the graph as assets.
    """
    files = [v.file for v in vocabularies]
    names = [name for file in files for name in file.names]
    paths = tft.experimental.ptransform_analyzer(
        inputs=[tensor for v in vocabularies for tensor in (v.tokens, v.counts, v.weights)],
        ptransform=WriteVocabularies(files),
        output_dtypes=[tf.string] * len(names),
        output_shapes=[[]] * len(names),
        output_asset_default_values=[_UNTIL_WRITTEN] * len(names),
        name="vocabularies",
    )
    return dict(zip(names, paths, strict=True))


def vocabulary_indexes(values: tf.Tensor, path: tf.Tensor, oov_buckets: int = 1) -> tf.Tensor:
    """Looks values up: known ones first, then the OOV buckets (chosen by a hash), then one index for "".

    Args:
      values: string, flat.
      path: Of the vocabulary, from `vocabulary_paths`.
      oov_buckets: The number of indexes that unknown values share.

    Returns:
      int64, same shape, in [0, known + oov_buckets + 1).
    """

    def lookup(keys: tf.Tensor, file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with _outside_function(file):
            initializer = tf.lookup.TextFileInitializer(
                file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            table = tf.lookup.StaticVocabularyTable(initializer, oov_buckets)
            missing = table.size()
        return tf.where(tf.equal(keys, ""), missing, table.lookup(keys)), missing + 1

    return tft.apply_vocabulary(values, path, lookup_fn=lookup)


def _outside_function(path: tf.Tensor) -> contextlib.AbstractContextManager[None]:
    """Lifts a table whose file is known out of the graph function, so that it is initialised once."""
    return contextlib.nullcontext() if tf.is_symbolic_tensor(path) else tf.init_scope()
