"""Metrics of a list of recommended items: how unexpected they are, and how unlike each other."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.data.catalogue import PADDING, CatalogueTable
from transform.features import ModelFeature


class ListMetrics:
    """Computes novelty and intra-list distance of the first K items of lists.

    Novelty is the mean self-information -log2 p of the items (Zhou et al., "Solving the apparent diversity-accuracy
    dilemma of recommender systems", 2010). p is the item's share of the positive train events after add-one smoothing,
    so that it is finite for an item without any.

    Intra-list distance is the mean of 1 - cosine over the pairs of items (Ziegler et al., "Improving Recommendation
    Lists Through Topic Diversification", 2005; Zhang and Hurley, "Avoiding Monotony", 2008). The cosine is between the
    items' contents, the counts of each value of their categorical features, and so does not depend on the model. It is
    0 where nothing is known of an item.

    Args:
        frequencies: float [V], positive train events; a variable that the exported object tracks.
        table: the items' features.
        features: every feature; the categorical ones of items are compared.
        ks: the lengths K.
    """

    def __init__(
        self, frequencies: tf.Variable, table: CatalogueTable, features: Sequence[ModelFeature], ks: Sequence[int]
    ) -> None:
        self._frequencies = frequencies
        self._table = table
        self._features = [(f, f.size) for f in features if f.section == "item" and f.size is not None]
        self._ks = tuple(ks)

    def __call__(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the metrics of lists.

        Args:
            items: int64 [B, M], -1 behind a list's last item.

        Returns:
            `novelty` and, where items have a feature to compare, `intra_list_distance`: float [B, |ks|], NaN where
            undefined (no item; fewer than two). Nothing without any K.
        """
        if not self._ks:
            return {}
        metrics = {"novelty": tf.stack([self.novelty(items[:, :k]) for k in self._ks], axis=1)}
        if self._features:
            distances = [self.distance(items[:, :k]) for k in self._ks]
            metrics["intra_list_distance"] = tf.stack(distances, axis=1)
        return metrics

    def novelty(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the mean self-information in bits: int64 [B, K] -> float [B]."""
        counts = self._frequencies + 1
        information = tf.gather(-tf.math.log(counts / tf.reduce_sum(counts)), tf.maximum(items, 0))
        is_item = tf.cast(items >= 0, tf.float32)
        return tf.reduce_sum(information * is_item, axis=1) / tf.reduce_sum(is_item, axis=1) / tf.math.log(2.0)

    def distance(self, items: tf.Tensor) -> tf.Tensor:
        """Returns the mean distance of pairs, in [0, 1]: int64 [B, K] -> float [B].

        For unit vectors u_1..u_n, |u_1 + ... + u_n|^2 = n + 2 (sum of the pairs' cosines), so pairs are never formed.
        """
        values, size = self._values(tf.maximum(items, 0))
        rows, count, width = tf.unstack(tf.shape(values))
        is_item = tf.cast(items >= 0, tf.float32)
        is_value = tf.cast(values >= 0, tf.float32) * is_item[..., tf.newaxis]
        lengths = squared_norms(
            tf.reshape(values, [rows * count, width]), tf.reshape(is_value, [rows * count, width]), size
        )
        lengths = tf.reshape(lengths, [rows, count])
        unit = is_value * tf.math.rsqrt(tf.maximum(lengths, 1))[..., tf.newaxis]
        flat, unit = (tf.reshape(part, [rows, count * width]) for part in (values, unit))
        cosines = squared_norms(flat, unit, size) - tf.reduce_sum(tf.cast(lengths > 0, tf.float32), axis=1)
        number = tf.reduce_sum(is_item, axis=1)
        return 1 - cosines / tf.where(number > 1, number * (number - 1), float("nan"))

    def _values(self, items: tf.Tensor) -> tuple[tf.Tensor, int]:
        """Numbers the values of all features: int64 [B, K] -> int64 [B, K, M], -1 for none, and the count of numbers.

        For example, behind a feature of 5 categories, which has the numbers 0 to 4, the second feature's value 1 is 6.
        """
        found, start = self._table.lookup(items), 0
        parts = []
        for feature, size in self._features:
            values = tf.cast(found[feature.name], tf.int64)
            is_single = feature.form == "category"
            values = values[..., tf.newaxis] if is_single else values
            is_value = values != (size - 1 if is_single else PADDING)
            parts.append(tf.where(is_value, values + start, -1))
            start += size
        return tf.concat(parts, axis=-1), start


def squared_norms(values: tf.Tensor, weights: tf.Tensor, size: int) -> tf.Tensor:
    """Computes the squared lengths of sparse vectors.

    For example, the positions [1, 1, 2] with the weights [1, 2, 4] are the vector [0, 3, 4]: 25.

    Args:
        values: int64 [R, N], positions in [0, size), where repeated ones are added up; others must have the weight 0.
        weights: float [R, N].
        size: the vectors' length.

    Returns:
        float [R].
    """
    rows = tf.shape(values, tf.int64)[0]
    cells = tf.range(rows)[:, tf.newaxis] * size + tf.maximum(values, 0)
    cell, position = tf.unique(tf.reshape(cells, [-1]))
    sums = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), position, tf.size(cell))
    return tf.math.unsorted_segment_sum(sums**2, cell // size, rows)
