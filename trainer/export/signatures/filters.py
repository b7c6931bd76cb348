"""Conditions that requests may put on the items: an allow-list, and filters on their raw attributes."""

from collections.abc import Callable
from functools import reduce

import numpy as np
import tensorflow as tf

from config import feature_names
from config.serving import ServingConfig
from trainer.data.attributes import NO_TIME, Attributes, Numbers, Words
from trainer.export.signatures.inputs import Extras, is_given


class WordTable(tf.Module):
    """The items of each value of an attribute, value after value.

    Args:
        words: the attribute.
        size: V.
    """

    def __init__(self, words: Words, size: int, name: str) -> None:
        super().__init__(name=name)
        self._size = size
        count = len(words.values)
        keys = tf.constant([*words.values, b""])  # a lookup table must not be empty; "" is no value
        self.index = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.range(count + 1, dtype=tf.int64)), default_value=count
        )
        starts = np.searchsorted(np.sort(words.value), np.arange(count + 1))
        with self.name_scope:
            items = words.item[np.argsort(words.value, kind="stable")].astype(np.int32)
            self.items = tf.Variable(items, trainable=False, name="items")
            self.starts = tf.Variable(np.append(starts, len(items)), trainable=False, dtype=tf.int64, name="starts")

    def mask(self, wanted: tf.Tensor) -> tf.Tensor:
        """Marks the items with any of the values: string [B, N] -> bool [B, V]. Unknown values and `""` have no items.

        For example, with the values [drama, war] of the items [[0, 1], [0]] the request [war] marks item 0.
        """
        rows = tf.shape(wanted, tf.int64)[0]
        values = tf.size(self.starts, tf.int64) - 1
        cell = tf.range(rows)[:, tf.newaxis] * values + self.index.lookup(wanted)
        cell = tf.unique(tf.reshape(cell, [-1])).y  # a value that is named more than once is looked up once
        lists = tf.RaggedTensor.from_row_splits(self.items, self.starts, validate=False)
        found = tf.gather(lists, cell % values)
        row = tf.gather(cell // values, found.value_rowids())
        return items_mask(row, tf.cast(found.flat_values, tf.int64), rows, self._size)


class NumberTable(tf.Module):
    """The number of each item, [V].

    Args:
        numbers: the attribute.
    """

    def __init__(self, numbers: Numbers, name: str) -> None:
        super().__init__(name=name)
        with self.name_scope:
            self.values = tf.Variable(numbers.values, trainable=False, name="values")

    def mask(self, least: tf.Tensor, most: tf.Tensor) -> tf.Tensor:
        """Marks the items with numbers in [least, most], [B] each, where given: bool [B, V]."""
        values = self.values[tf.newaxis]
        fits = values != NO_TIME if values.dtype == tf.int64 else ~tf.math.is_nan(values)
        for bound, holds in ((least, tf.greater_equal), (most, tf.less_equal)):
            fits &= holds(values, bound[:, tf.newaxis]) | ~is_given(bound)[:, tf.newaxis]
        return fits


class Filters(tf.Module):
    """Marks the items that each request allows.

    Args:
        serving: the conditions that requests may have.
        attributes: the raw attributes by name.
        item_index: maps item ids to indexes, unknown ones to V.
        size: V.

    Raises:
        ValueError: a filter's attribute is not among the attributes.
    """

    def __init__(
        self, serving: ServingConfig, attributes: Attributes, item_index: tf.lookup.StaticHashTable, size: int
    ) -> None:
        super().__init__(name="filters")
        missing = sorted(set(serving.filters) - set(attributes))
        if missing:
            raise ValueError(f"`attributes` should hold every filter's values. Missing: {', '.join(missing)}")
        self._allow_list = serving.allow_list
        self._item_index = item_index
        self._size = size
        self.tables: dict[str, WordTable | NumberTable] = {}
        for name in serving.filters:
            own = attributes[name]
            self.tables[name] = WordTable(own, size, name) if isinstance(own, Words) else NumberTable(own, name)

    def is_filtered(self, extras: Extras) -> tf.Tensor:
        """Returns whether any request of the batch has a condition: bool []."""
        given = [is_given(extras[name]) for names in self._conditions() for name in names]
        return tf.reduce_any(tf.stack(given))

    def mask(self, extras: Extras) -> tf.Tensor:
        """Marks the items that fit all conditions of each request, all without conditions: bool [B, V]."""
        return reduce(tf.logical_and, [self._fits(*condition, extras) for condition in self._conditions().items()])

    def _conditions(self) -> dict[tuple[str, ...], Callable[..., tf.Tensor]]:
        """The functions that mark fitting items, by the names of their inputs."""
        conditions: dict[tuple[str, ...], Callable[..., tf.Tensor]] = {}
        if self._allow_list:
            conditions[(feature_names.ALLOW_ITEM_ID,)] = self._allowed
        for name, table in self.tables.items():
            bounds = (feature_names.at_least(name), feature_names.at_most(name))
            conditions[(feature_names.any_of(name),) if isinstance(table, WordTable) else bounds] = table.mask
        return conditions

    def _fits(self, names: tuple[str, ...], mask: Callable[..., tf.Tensor], extras: Extras) -> tf.Tensor:
        """Marks the items that fit one condition of each request, all where it lacks the condition: bool [B, V]."""
        values = [extras[name] for name in names]
        is_free = ~tf.reduce_any([is_given(v) for v in values], axis=0)
        return tf.cond(
            tf.reduce_all(is_free),
            lambda: tf.ones(tf.stack([tf.size(is_free), self._size]), tf.bool),
            lambda: mask(*values) | is_free[:, tf.newaxis],
        )

    def _allowed(self, ids: tf.Tensor) -> tf.Tensor:
        item = self._item_index.lookup(ids)
        known = tf.where(item < self._size)
        return items_mask(known[:, 0], tf.gather_nd(item, known), tf.shape(ids, tf.int64)[0], self._size)


def items_mask(row: tf.Tensor, item: tf.Tensor, rows: tf.Tensor, size: int) -> tf.Tensor:
    """Marks cells: the rows [0, 0, 1] and items [2, 2, 0] -> [[F, F, T], [T, F, F]], bool [rows, size]."""
    cells = tf.stack([row, item], axis=1)
    nothing = tf.zeros(tf.stack([rows, size]), tf.bool)
    mask = tf.tensor_scatter_nd_update(nothing, cells, tf.ones_like(row, tf.bool))
    return tf.ensure_shape(mask, [None, size])


def without_items(mask: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Unmarks items: bool [B, V], int64 [B, E] (entries outside [0, V) are padding) -> bool [B, V]."""
    positions = tf.where((items >= 0) & (items < mask.shape[1]))
    cells = tf.stack([positions[:, 0], tf.gather_nd(items, positions)], axis=1)
    return tf.tensor_scatter_nd_update(mask, cells, tf.zeros_like(positions[:, 0], tf.bool))
