"""The catalogue: a table inside the model, from item index to transformed item features.

Row `i` belongs to item `i` of the item vocabulary; row V, the last, stands for every unknown item. An item of the log
that the items table lacks has the same "missing" values as the unknown one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from config import Config, feature_names
from transform.features import ModelFeature, item_frequencies, item_vocabulary, model_features
from transform.trend import TrendCounts, item_trend

PADDING = -1
"""Fills the rows of a multi-valued feature behind an item's last value."""

_BATCH_SIZE = 4096


@dataclass(frozen=True, eq=False)
class Catalogue:
    """The items as dense arrays: V items and the unknown one.

    Attributes:
        item_ids: bytes [V], by descending train frequency.
        frequencies: float32 [V], positive training targets of each item.
        features: by the feature's name in the examples (`item_year`): a category int32 [V + 1], a number float32
            [V + 1], categories int32 [V + 1, M] with `PADDING` behind the last value (M >= 1 is the longest list).
        trend: the positive training targets of each item by time; None where `features.trend` is off.
    """

    item_ids: NDArray[np.object_]
    frequencies: NDArray[np.float32]
    features: Mapping[str, NDArray[Any]]
    trend: TrendCounts | None = None

    @property
    def size(self) -> int:
        """Returns V: the number of known items, and the index of the unknown one."""
        return len(self.item_ids)


class CatalogueTable(tf.Module):
    """A catalogue's features as non-trainable variables: refreshing the catalogue changes no weight."""

    def __init__(self, catalogue: Catalogue, name: str = "catalogue") -> None:
        super().__init__(name=name)
        self.size = catalogue.size
        with self.name_scope:
            self.columns = {
                name: tf.Variable(values, trainable=False, name=name) for name, values in catalogue.features.items()
            }

    def lookup(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks features up: int [...] in [0, V] -> by name [...] or, for multi-valued features, [..., M]."""
        return {name: tf.gather(values, index) for name, values in self.columns.items()}


def load_catalogue(file_pattern: str | Sequence[str], tft_output: tft.TFTransformOutput, config: Config) -> Catalogue:
    """Reads the transformed `items` split.

    Args:
        file_pattern: one or more globs of gzipped TFRecord files of transformed examples. An empty list: a log without
            an items table.
        tft_output: the transform graph's output with the item vocabulary and the train frequencies.
        config: names the item features.

    Raises:
        FileNotFoundError: patterns are given and no file matches.
        ValueError: the vocabulary, which should hold the whole catalogue, lacks an item of it.
    """
    return catalogue_of(read_columns(file_pattern, catalogue_dtypes(config, tft_output)), tft_output, config)


def catalogue_dtypes(config: Config, tft_output: tft.TFTransformOutput) -> dict[str, tf.DType]:
    """Returns the types of an item's features in the transformed `items` split, and of its index, by name."""
    features = [f for f in model_features(config, tft_output) if f.section == "item"]
    dtypes = {f.name: tf.float32 if f.form == "number" else tf.int64 for f in features}
    return {**dtypes, feature_names.CATALOGUE_ID: tf.int64}


def catalogue_of(
    columns: Mapping[str, tf.RaggedTensor], tft_output: tft.TFTransformOutput, config: Config
) -> Catalogue:
    """Lays the transformed items out by index.

    Args:
        columns: [n, *] by the names of `catalogue_dtypes`, the values of n examples; of an item's the first counts.
        tft_output: as for `load_catalogue`.
        config: as for `load_catalogue`.

    Raises:
        ValueError: as `load_catalogue`.
    """
    item_ids = item_vocabulary(tft_output)
    features = [f for f in model_features(config, tft_output) if f.section == "item"]
    index = columns[feature_names.CATALOGUE_ID].flat_values.numpy()
    lost = int(np.count_nonzero(index == len(item_ids)))
    # Of a log alone, rare items may be left out of the vocabulary.
    if lost and (config.data.items is not None or config.features.item_id.min_count == 1):
        raise ValueError(
            f"{lost} of {len(index)} items of the catalogue are not in the vocabulary of items, which has "
            f"{len(item_ids)}: Transform lost their ids"
        )
    tables = {f.name: _table(f, columns[f.name], index, len(item_ids)) for f in features}
    trend = item_trend(tft_output) if config.trend else None
    return Catalogue(item_ids, item_frequencies(tft_output).astype(np.float32), tables, trend)


def read_columns(file_pattern: str | Sequence[str], dtypes: Mapping[str, tf.DType]) -> dict[str, tf.RaggedTensor]:
    """Reads features of variable length from gzipped TFRecord files of tf.Examples.

    Args:
        file_pattern: one or more globs.
        dtypes: by the feature's name.

    Returns:
        By name [n, *], the values of each of the n examples in the order of the files' names.

    Raises:
        FileNotFoundError: patterns are given and no file matches.
    """
    patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
    files = sorted(f for pattern in patterns for f in tf.io.gfile.glob(pattern))
    if patterns and not files:
        raise FileNotFoundError(f"examples of items should be at {', '.join(patterns)}: no file matches")
    spec = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    serialized = [tf.zeros([0], tf.string), *tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH_SIZE)]
    batches = [tf.io.parse_example(batch, spec) for batch in serialized]
    return {name: tf.concat([batch[name] for batch in batches], axis=0) for name in spec}


def _table(feature: ModelFeature, column: tf.RaggedTensor, index: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Lays a feature out by item: [V + 1] or, of several values, [V + 1, M].

    For example, with V = 3 the examples [[7], [8, 9], [5]] of the items `index` = [2, 0, 2] are
    [[8, 9], [-1, -1], [7, -1], [-1, -1]]: of two examples of an item the first counts, and item 1 has none.
    """
    known, first = np.unique(index, return_index=True)
    example = np.full(size + 1, len(index))
    example[known[known < size]] = first[known < size]
    rows = tf.gather(tf.concat([column, tf.constant([[]], column.dtype)], axis=0), example)
    is_list = feature.form == "categories"
    missing = PADDING if is_list else missing_value(feature)
    # One more column than values: `to_tensor` has none where every row is empty.
    table = np.pad(rows.to_tensor(missing).numpy(), [(0, 0), (0, 1)], constant_values=missing)
    table = table.astype(np.float32 if feature.size is None else np.int32)
    return table[:, : max(1, table.shape[1] - 1)] if is_list else table[:, 0]


def missing_value(feature: ModelFeature) -> int:
    """Returns the value of a single-valued feature that is missing: the category `size` - 1, or the number 0."""
    return 0 if feature.size is None else feature.size - 1
