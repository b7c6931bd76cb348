"""The items' raw attributes, as the tables have them: what requests filter by and answers are capped by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config, feature_names
from config.features import AnyFeature

NO_TIME = np.iinfo(np.int64).min
"""Stands where an item has no time."""

_BATCH_SIZE = 4096


@dataclass(frozen=True, eq=False)
class Words:
    """A categorical or multi-valued attribute.

    Attributes:
        values: bytes [C], the distinct values in ascending order.
        item: int64 [n], ascending, and value: int64 [n]: item `item[i]` has the value `values[value[i]]`.
    """

    values: NDArray[np.object_]
    item: NDArray[np.int64]
    value: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Numbers:
    """A numeric attribute or a time.

    Attributes:
        values: float32 [V], NaN where missing, or int64 [V] seconds since 1970, `NO_TIME` where missing.
    """

    values: NDArray[Any]


Attributes = Mapping[str, Words | Numbers]
"""By the name of the item feature."""


def load_attributes(file_pattern: str | Sequence[str], item_ids: NDArray[np.object_], config: Config) -> Attributes:
    """Reads what `serving` needs of the raw `items` split; of two rows of an item the first counts.

    Args:
        file_pattern: one or more globs of gzipped TFRecord files of raw examples.
        item_ids: bytes [V], the ids in the catalogue's order. An item without a row has no values.
        config: names the attributes.
    """
    features = [f for f in config.features.item if f.name in config.serving.attributes]
    if not features:
        return {}
    patterns = [file_pattern] if isinstance(file_pattern, str) else file_pattern
    files = sorted(f for pattern in patterns for f in tf.io.gfile.glob(pattern))
    index = {bytes(item): position for position, item in enumerate(item_ids)}
    found: dict[str, list[tuple[NDArray[Any], NDArray[np.int64]]]] = {f.name: [] for f in features}
    for item, columns in _batches(files, features, index):
        for name, column in columns.items():
            positions = item[column.indices[:, 0]]
            found[name].append((column.values.numpy()[positions >= 0], positions[positions >= 0]))
    return {f.name: _attribute(f, found[f.name], len(item_ids)) for f in features}


def _batches(
    files: list[str], features: Iterable[AnyFeature], index: dict[bytes, int]
) -> Iterator[tuple[NDArray[np.int64], dict[str, tf.SparseTensor]]]:
    """The items int64 [B], -1 for unknown and repeated ones, and their columns, batch by batch."""
    spec = {feature_names.item_feature(f.name): tf.io.VarLenFeature(_dtype(f)) for f in features}
    spec[feature_names.CATALOGUE_ID] = tf.io.VarLenFeature(tf.string)
    names = {feature_names.item_feature(f.name): f.name for f in features}
    left = dict(index)
    for batch in tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH_SIZE):
        parsed = tf.io.parse_example(batch, spec)
        ids = tf.sparse.to_dense(parsed.pop(feature_names.CATALOGUE_ID), "").numpy()[:, 0]
        yield np.array([left.pop(i, -1) for i in ids], np.int64), {names[n]: values for n, values in parsed.items()}


def _dtype(feature: AnyFeature) -> tf.DType:
    return {"number": tf.float32, "time": tf.int64}.get(feature.value_kind, tf.string)


def _attribute(
    feature: AnyFeature, found: Sequence[tuple[NDArray[Any], NDArray[np.int64]]], size: int
) -> Words | Numbers:
    dtype = _dtype(feature).as_numpy_dtype
    values = np.concatenate([np.zeros(0, dtype), *(v for v, _ in found)])
    item = np.concatenate([np.zeros(0, np.int64), *(i for _, i in found)])
    if not feature.is_ordered:
        return words(values, item)
    numbers = np.full(size, NO_TIME if feature.value_kind == "time" else np.nan, dtype)
    numbers[item] = values
    return Numbers(numbers)


def words(values: NDArray[np.object_], item: NDArray[np.int64]) -> Words:
    """From values [n] and their items [n]; a value that an item has twice counts once."""
    distinct, value = np.unique(values, return_inverse=True)
    pairs = np.unique(np.stack([item, value], axis=1), axis=0)
    return Words(distinct, pairs[:, 0], pairs[:, 1])
