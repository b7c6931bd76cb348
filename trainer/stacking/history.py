"""What a user's labelled history tells: its labels, the session bias, and items that share an attribute."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.catalogue import PADDING, CatalogueTable
from trainer.stacking.bias_terms import TrainLabels
from trainer.stacking.neighbours import sums_of
from transform.features import RAW_NAME, ModelFeature

_LEAST_EXPLAINED: Final = 0.95
"""The share of the labels' variance that an outcome explains at least if histories are labelled by it."""
_SESSION_DAMPING: Final = 2.0
"""In labels: with so many at the query's own time, the mean is shrunk half way to 0."""


class OutcomeLabels(NamedTuple):
    """The labels that the categories of an outcome feature stand for.

    Attributes:
        feature: The outcome's name.
        label: float64 [C], the categories' mean labels in train.
        is_known: bool [C], whether a category was labelled.
    """

    feature: str
    label: NDArray[np.float64]
    is_known: NDArray[np.bool_]


def outcome_labels(labels: TrainLabels, features: Sequence[ModelFeature]) -> OutcomeLabels | None:
    """Finds the outcome that determines the label, such as the stars of a rating.

    Args:
        labels: A task's labels with the categories of `features`.
        features: Categorical outcome features.

    Returns:
        The outcome that explains most of the labels' variance; None if none explains 95% of it.
    """

    def unexplained(table: OutcomeLabels) -> float:
        return float(np.mean((labels.label - table.label[labels.outcomes[table.feature]]) ** 2))

    tables = []
    for feature in features:
        size, category = feature.size or 0, labels.outcomes[feature.name]
        count = np.bincount(category, minlength=size)
        means = np.bincount(category, labels.label, size) / np.maximum(count, 1)
        tables.append(OutcomeLabels(feature.name, means, count > 0))
    best = min(tables, key=unexplained, default=None)
    most = (1 - _LEAST_EXPLAINED) * float(np.var(labels.label))
    return best if best is not None and unexplained(best) <= most else None


def session_bias(residual: tf.Tensor, is_observed: tf.Tensor, time: tf.Tensor, scale: int) -> tf.Tensor:
    """Computes how far a user's labels currently deviate from what is expected of them (Koren, "Collaborative filtering
    with temporal dynamics", 2009).

    sum_j w_j r_j / (sum_j w_j + 2) with w_j = exp(-|t - t_j| / scale). If the split puts later events into a history,
    they count like earlier ones.

    Args:
        residual: float [B, L], labels less the expected labels.
        is_observed: bool [B, L], whether the event's label is known.
        time: int64 [B, L + 1] in seconds, the query's own last; 0 where unknown. An unknown time of the query is
            replaced by the newest event's, since most events follow the one before them soon.
        scale: In seconds.

    Returns:
        float [B, 1].
    """
    then, now = time[:, :-1], time[:, -1:]
    now = tf.where(now > 0, now, tf.reduce_max(then, axis=1, keepdims=True))
    is_known = is_observed & (then > 0) & (now > 0)
    gap = tf.cast(tf.abs(now - then), tf.float32)
    weight = tf.where(is_known, tf.exp(-gap / scale), 0.0)
    mean = tf.reduce_sum(weight * residual, axis=1) / (tf.reduce_sum(weight, axis=1) + _SESSION_DAMPING)
    return mean[:, tf.newaxis]


class ItemAttributes(NamedTuple):
    """The values of A categorical item features, side by side in M columns; C distinct values in all.

    With 4 genres (0 to 3) in up to two columns and 5 studios, an item of the genres 0 and 2 and of studio 1 has the
    values [0, 2, 4 + 1] and the shares [1 / sqrt(2), 1 / sqrt(2), 1]; an item without genres [9, 9, 4 + 1] and
    [0, 0, 1].

    Attributes:
        names: The features' configured names.
        value: int32 [V + 1, M] in [0, C], offset by the sizes of the features before; C where there is no value.
        share: float32 [V + 1, M], 1 / sqrt(n) for each of an item's n values of a feature; 0 where there is none.
        feature: float32 [M, A], 1 where a column belongs to a feature.
        size: C.
    """

    names: tuple[str, ...]
    value: NDArray[np.int32]
    share: NDArray[np.float32]
    feature: NDArray[np.float32]
    size: int

    @property
    def known_names(self) -> list[str]:
        """The features of which at least one item has a value."""
        counts = (self.share @ self.feature).sum(axis=0).tolist()
        return [name for name, count in zip(self.names, counts, strict=True) if count]

    def matrices(self) -> Iterator[sp.csr_matrix]:
        """Yields the shares of each feature as a matrix [V + 1, C]."""
        for columns in self.feature.T > 0:
            row, column = np.nonzero((self.share > 0) & columns)
            cells = row, self.value[row, column]
            yield sp.csr_matrix((self.share[row, column], cells), shape=(len(self.value), self.size))


def item_attributes(names: Sequence[str], features: Sequence[ModelFeature], table: CatalogueTable) -> ItemAttributes:
    """Reads attributes from the catalogue.

    Args:
        names: Configured names of categorical item features.
        features: The model's features.
        table: The transformed features of the items.
    """
    described = {feature.name: feature for feature in features}
    chosen = [described[RAW_NAME["item"](name)] for name in names]
    starts = np.cumsum([0, *(feature.size or 0 for feature in chosen)])
    value, share = [np.zeros((table.size + 1, 0))], [np.zeros((table.size + 1, 0))]
    for feature, start in zip(chosen, starts[:-1], strict=True):
        own = table.columns[feature.name].numpy().astype(np.int64).reshape(table.size + 1, -1)
        is_value = (own != PADDING) & (own != (feature.size or 0) - 1)  # the last category is that of missing values
        value.append(np.where(is_value, own + start, starts[-1]))
        share.append(is_value / np.sqrt(np.maximum(is_value.sum(axis=1, keepdims=True), 1)))
    owner = np.repeat(np.arange(len(chosen)), [own.shape[1] for own in value[1:]])
    return ItemAttributes(
        tuple(names),
        np.concatenate(value, axis=1).astype(np.int32),
        np.concatenate(share, axis=1).astype(np.float32),
        np.eye(len(chosen), dtype=np.float32)[owner],
        int(starts[-1]),
    )


class AttributeMeans(tf.Module):
    """The mean residual of a user's labelled items that share an attribute value with an item, by attribute.

    For an attribute with shares x: sum_c x_ic sum_j x_jc r_j / (sum_c x_ic sum_j x_jc + damping), over the labelled
    items j of the history and the attribute's values c.

    Args:
        attributes: The attributes of the items.
        damping: Added to the sum of weights, in labels; it shrinks the means to 0.
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
        """Computes the means.

        Args:
            history: int64 [B, L], the labelled items; V for other events.
            residual: float [B, L], labels less their bias terms.
            item: int64 [B, N] in [0, V].

        Returns:
            float [B, N] by attribute.
        """
        rows = tf.shape(item, tf.int64)[0]
        share = tf.gather(self._share, history)
        is_value = share > 0
        observed = tf.stack([share * residual[..., tf.newaxis], share], axis=-1)
        cell = tf.range(rows)[:, tf.newaxis, tf.newaxis] * self._size + self._values(history)
        wanted = self._values(item)
        sums = sums_of(
            tf.reshape(wanted, [rows, -1]),
            tf.boolean_mask(cell, is_value),
            tf.boolean_mask(observed, is_value),
            self._size,
        )
        sums = tf.reshape(sums, [*tf.unstack(tf.shape(wanted)), 2]) * tf.gather(self._share, item)[..., tf.newaxis]
        label, weight = tf.unstack(tf.einsum("bnmc,ma->bnac", sums, self._feature), axis=-1)
        return dict(zip(self.names, tf.unstack(label / (weight + self._damping), axis=-1), strict=True))

    def _values(self, item: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self._value, item), tf.int64)
