"""The items' raw attributes: the values that requests filter by and that cap answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config, feature_names
from config.features import AnyFeature
from trainer.data.catalogue import read_columns

NO_TIME = np.iinfo(np.int64).min
"""The time of an item without one."""


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
    """Reads the attributes that `serving` names from the raw `items` split.

    Args:
        file_pattern: one or more globs of gzipped TFRecord files of raw examples; of two rows of an item the first
            counts.
        item_ids: bytes [V], the ids in the catalogue's order. An item without a row has no values.
        config: names the attributes.

    Raises:
        FileNotFoundError: an attribute is named and no file matches.
    """
    features = [f for f in config.features.item if f.name in config.serving.attributes]
    if not features:
        return {}
    dtypes = {feature_names.item_feature(f.name): _dtype(f) for f in features}
    columns = read_columns(file_pattern, {**dtypes, feature_names.CATALOGUE_ID: tf.string})
    ids = columns.pop(feature_names.CATALOGUE_ID).to_tensor("", [None, 1]).numpy().reshape(-1)
    left = {bytes(item): index for index, item in enumerate(item_ids)}
    item = np.array([left.pop(i, -1) for i in ids], np.int64)  # -1 for unknown and repeated ones
    return {f.name: _attribute(f, columns[feature_names.item_feature(f.name)], item, len(item_ids)) for f in features}


def words(values: NDArray[np.object_], item: NDArray[np.int64]) -> Words:
    """Makes an attribute from values bytes [n] and their items [n]; a value that an item has twice counts once."""
    distinct, value = np.unique(values, return_inverse=True)
    pairs = np.unique(np.stack([item, value], axis=1), axis=0)
    return Words(distinct, pairs[:, 0], pairs[:, 1])


def _dtype(feature: AnyFeature) -> tf.DType:
    return {"number": tf.float32, "time": tf.int64}.get(feature.value_kind, tf.string)


def _attribute(feature: AnyFeature, column: tf.RaggedTensor, item: NDArray[np.int64], size: int) -> Words | Numbers:
    """From the values [n, *] of n rows, and the item of each row, int64 [n], -1 for none."""
    values, item = column.flat_values.numpy(), item[column.value_rowids().numpy()]
    values, item = values[item >= 0], item[item >= 0]
    if not feature.is_ordered:
        return words(values, item)
    numbers = np.full(size, NO_TIME if feature.value_kind == "time" else np.nan, values.dtype)
    numbers[item] = values
    return Numbers(numbers)
