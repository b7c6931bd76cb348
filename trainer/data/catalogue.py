"""The catalogue: a table inside the model, item index to transformed item features.

Row `i` belongs to item `i` of the item vocabulary; row V, the last, stands for every unknown item. An item that the
log knows and the items table does not has the same "missing" values as the unknown one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """The items as dense arrays, V items and the unknown one.

    Attributes:
        item_ids: bytes [V], by falling train frequency.
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
        """V: the number of known items, and the index of the unknown one."""
        return len(self.item_ids)


class CatalogueTable(tf.Module):
    """A catalogue's features as non-trainable variables: a refreshed catalogue is assigned, no weight changes."""

    def __init__(self, catalogue: Catalogue, name: str = "catalogue") -> None:
        super().__init__(name=name)
        self.size = catalogue.size
        with self.name_scope:
            self.columns = {
                name: tf.Variable(values, trainable=False, name=name) for name, values in catalogue.features.items()
            }

    def lookup(self, index: tf.Tensor) -> dict[str, tf.Tensor]:
        """The features of items: int [...] in [0, V] -> name: [...] or, for multi-valued features, [..., M]."""
        return {name: tf.gather(values, index) for name, values in self.columns.items()}


def load_catalogue(file_pattern: str | Sequence[str], tft_output: tft.TFTransformOutput, config: Config) -> Catalogue:
    """Reads the transformed `items` split.

    Args:
        file_pattern: one or more globs of gzipped TFRecord files of transformed examples. An empty list: a log without
            an items table.
        tft_output: the `tft.TFTransformOutput` with the item vocabulary and the train frequencies.
        config: names the item features.

    Raises:
        FileNotFoundError: patterns are given and no file matches.
        ValueError: the vocabulary, which holds the whole catalogue, lacks an item of it.
    """
    item_ids = item_vocabulary(tft_output)
    features = [f for f in model_features(config, tft_output) if f.section == "item"]
    batches = list(_read(_files(file_pattern), features))
    index = np.concatenate([np.zeros(0, np.int64), *(b.pop(feature_names.CATALOGUE_ID).values for b in batches)])
    _check_all_known(index, len(item_ids), config)
    columns = {f.name: _join([b[f.name] for b in batches]) for f in features}
    tables = {f.name: _table(f, columns[f.name], index, len(item_ids)) for f in features}
    trend = item_trend(tft_output) if config.trend else None
    return Catalogue(item_ids, item_frequencies(tft_output).astype(np.float32), tables, trend)


def _check_all_known(index: NDArray[np.int64], size: int, config: Config) -> None:
    """Raises ValueError for items that got lost between ingest and the vocabulary; rare ones of a log alone may."""
    lost = int(np.count_nonzero(index == size))
    if lost and (config.data.items is not None or config.features.item_id.min_count == 1):
        raise ValueError(
            f"{lost} of {len(index)} items of the catalogue are not in the vocabulary of items, which has {size}: "
            "Transform lost their ids"
        )


@dataclass(frozen=True)
class _Column:
    """A variable-length feature of n examples: `values` and the example that each stands in, in [0, n)."""

    values: NDArray[Any]
    rows: NDArray[np.int64]
    examples: int


def _files(file_pattern: str | Sequence[str]) -> list[str]:
    patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
    files = sorted(f for pattern in patterns for f in tf.io.gfile.glob(pattern))
    if patterns and not files:
        raise FileNotFoundError(f"the transformed items should be at {', '.join(patterns)}: no file matches")
    return files


def _read(files: list[str], features: Iterable[ModelFeature]) -> Iterator[dict[str, _Column]]:
    spec = {f.name: tf.io.VarLenFeature(tf.float32 if f.form == "number" else tf.int64) for f in features}
    spec[feature_names.CATALOGUE_ID] = tf.io.VarLenFeature(tf.int64)
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH_SIZE)
    for batch in records.map(lambda serialized: tf.io.parse_example(serialized, spec)):
        yield {
            name: _Column(s.values.numpy(), s.indices.numpy()[:, 0], int(s.dense_shape[0])) for name, s in batch.items()
        }


def _join(columns: list[_Column]) -> _Column:
    offsets = np.cumsum([0, *(c.examples for c in columns)])
    values = [c.values for c in columns]
    rows = [c.rows + offset for c, offset in zip(columns, offsets, strict=False)]
    return _Column(np.concatenate([[], *values]), np.concatenate([np.zeros(0, np.int64), *rows]), int(offsets[-1]))


def _table(feature: ModelFeature, column: _Column, index: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Places the examples' values in the rows of their items; the first example of an item counts."""
    known, first = np.unique(index, return_index=True)
    row_of_example = np.full(column.examples, size, np.int64)
    row_of_example[first] = known
    item = row_of_example[column.rows]
    values, item, position = column.values[item < size], item[item < size], _positions(column.rows)[item < size]
    if feature.form == "categories":
        table = np.full((size + 1, max(1, int(position.max(initial=-1)) + 1)), PADDING, np.int32)
        table[item, position] = values
        return table
    missing, dtype = (0, np.float32) if feature.size is None else (feature.size - 1, np.int32)
    single = np.full(size + 1, missing, dtype)
    single[item] = values
    return single


def _positions(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each value inside its (ascending) row: [0, 0, 1, 4] -> [0, 1, 0, 0]."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows)
