"""What a user's labels tell of items that share an attribute: an author, a genre."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.catalogue import PADDING, CatalogueTable
from trainer.stacking.neighbours import sums_of
from transform.features import RAW_NAME, ModelFeature


class ItemAttributes(NamedTuple):
    """The values of some features of the items, side by side: M columns, C values of all features together.

    Attributes:
        names: of the A features.
        value: int32 [V + 1, M], a feature's values behind those of the features before it; C for none.
        share: float32 [V + 1, M], 1 / sqrt(n) for each of a feature's n values; 0 for none.
        feature: float32 [M, A], 1 where the column is the feature's.
        size: C.
    """

    names: tuple[str, ...]
    value: NDArray[np.int32]
    share: NDArray[np.float32]
    feature: NDArray[np.float32]
    size: int

    @property
    def known_names(self) -> list[str]:
        """The features of which some item has a value."""
        counts = (self.share @ self.feature).sum(axis=0).tolist()
        return [name for name, count in zip(self.names, counts, strict=True) if count]

    def matrices(self) -> Iterator[sp.csr_matrix]:
        """The shares as a matrix [V + 1, C] of each feature."""
        for owned in self.feature.T > 0:
            row, column = np.nonzero((self.share > 0) & owned)
            cells = row, self.value[row, column]
            yield sp.csr_matrix((self.share[row, column], cells), shape=(len(self.value), self.size))


def item_attributes(names: Sequence[str], features: Sequence[ModelFeature], table: CatalogueTable) -> ItemAttributes:
    """The attributes of these names.

    Args:
        names: of item features with categories, as configured.
        features: the model's.
        table: of the items.
    """
    described = {feature.name: feature for feature in features}
    chosen = [described[RAW_NAME["item"](name)] for name in names]
    sizes = [feature.size or 0 for feature in chosen]
    starts, size = np.cumsum([0, *sizes])[:-1], sum(sizes)
    columns = [_columns(table.columns[feature.name].numpy(), feature) for feature in chosen]
    known = [own != PADDING for own in columns]
    value = [np.where(is_value, own + start, size) for is_value, own, start in zip(known, columns, starts, strict=True)]
    share = [is_value / np.sqrt(np.maximum(is_value.sum(axis=1, keepdims=True), 1)) for is_value in known]
    owner = np.repeat(np.arange(len(chosen)), [own.shape[1] for own in columns])
    none = np.zeros((table.size + 1, 0))
    return ItemAttributes(
        tuple(names),
        np.concatenate([none, *value], axis=1).astype(np.int32),
        np.concatenate([none, *share], axis=1).astype(np.float32),
        np.eye(len(chosen), dtype=np.float32)[owner],
        size,
    )


def _columns(values: NDArray[np.int32], feature: ModelFeature) -> NDArray[np.int64]:
    """A feature's categories int64 [V + 1, M], those of what is missing as `PADDING`."""
    values = values.reshape(len(values), -1).astype(np.int64)
    return np.where(values == (feature.size or 0) - 1, PADDING, values)


class AttributeMeans(tf.Module):
    """By attribute the mean of a user's labels of the items that share its values.

    Args:
        attributes: of the items.
        damping: added to the weights' sum.
    """

    def __init__(self, attributes: ItemAttributes, damping: float) -> None:
        super().__init__(name="attributes")
        self.names = attributes.names
        self._damping = damping
        self._size = attributes.size
        self._feature = attributes.feature
        with self.name_scope:
            self._value = tf.Variable(attributes.value, trainable=False, name="value")
            self._share = tf.Variable(attributes.share, trainable=False, name="share")

    def __call__(self, history: tf.Tensor, residual: tf.Tensor, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """The means, drawn to 0 by the damping.

        Args:
            history: int64 [B, L], labelled items; V for others.
            residual: float [B, L], their labels above what was to be expected.
            item: int64 [B, N] in [0, V].

        Returns:
            By attribute float [B, N].
        """
        rows = tf.shape(item, tf.int64)[0]
        share = tf.gather(self._share, history)
        observed = tf.stack([share * residual[..., tf.newaxis], share], axis=-1)
        cell = tf.range(rows)[:, tf.newaxis, tf.newaxis] * self._size + self._values(history)
        is_value = share > 0
        asked = self._values(item)
        known = tf.boolean_mask(cell, is_value), tf.boolean_mask(observed, is_value)
        found = sums_of(tf.reshape(asked, [rows, -1]), *known, self._size)
        found = tf.reshape(found, [*tf.unstack(tf.shape(asked)), 2]) * tf.gather(self._share, item)[..., tf.newaxis]
        label, weight = tf.unstack(tf.einsum("bnmc,ma->bnac", found, self._feature), axis=-1)
        return dict(zip(self.names, tf.unstack(label / (weight + self._damping), axis=-1), strict=True))

    def _values(self, item: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self._value, item), tf.int64)
