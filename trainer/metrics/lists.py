"""What a list of recommended items is like: how unexpected its items are, and how unlike each other."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.data.catalogue import PADDING, CatalogueTable
from transform.features import ModelFeature


class ListMetrics:
    """Novelty and intra-list distance of the first K items of lists.

    Novelty is the mean self-information -log2 p of the items (Zhou et al., "Solving the apparent diversity-accuracy
    dilemma of recommender systems", 2010). p is the item's share of the positive train events, one more of each item
    counted: an item without any has a finite one.

    Intra-list distance is the mean of 1 - cosine over the pairs of items (Ziegler et al., "Improving Recommendation
    Lists Through Topic Diversification", 2005; Zhang and Hurley, "Avoiding Monotony", 2008). The cosine is between the
    items' contents, the numbers of times that each value of a categorical feature occurs: it does not depend on the
    model. Where nothing is known of an item it is 0.

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
        """Lists int64 [B, M], -1 where there are fewer items -> float [B, |ks|] by name, NaN where undefined.

        `intra_list_distance` needs two items, and an item feature to compare. No K: no metrics.
        """
        if not self._ks:
            return {}
        metrics = {"novelty": tf.stack([self.novelty(items[:, :k]) for k in self._ks], axis=1)}
        if self._features:
            distances = [self.distance(items[:, :k]) for k in self._ks]
            metrics["intra_list_distance"] = tf.stack(distances, axis=1)
        return metrics

    def novelty(self, items: tf.Tensor) -> tf.Tensor:
        """int64 [B, K] -> bits, float [B]."""
        counts = self._frequencies + 1
        information = tf.gather(-tf.math.log(counts / tf.reduce_sum(counts)), tf.maximum(items, 0))
        is_item = tf.cast(items >= 0, tf.float32)
        return tf.reduce_sum(information * is_item, axis=1) / tf.reduce_sum(is_item, axis=1) / tf.math.log(2.0)

    def distance(self, items: tf.Tensor) -> tf.Tensor:
        """int64 [B, K] -> in [0, 1], float [B]."""
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
        # The squared length of the sum of unit vectors is their number and twice the sum of the pairs' cosines.
        cosines = squared_norms(flat, unit, size) - tf.reduce_sum(tf.cast(lengths > 0, tf.float32), axis=1)
        number = tf.reduce_sum(is_item, axis=1)
        return 1 - cosines / tf.where(number > 1, number * (number - 1), float("nan"))

    def _values(self, items: tf.Tensor) -> tuple[tf.Tensor, int]:
        """What features say of items int64 [B, K]: int64 [B, K, M], one number for each value of each feature and -1
        for none; and how many numbers there are."""
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
    """The squared lengths of sparse vectors.

    Args:
        values: int64 [R, N], positions in [0, size), repeated ones are added up; others should have the weight 0.
        weights: float [R, N].
        size: of the vectors.

    Returns:
        float [R].
    """
    rows = tf.shape(values, tf.int64)[0]
    cells = tf.range(rows)[:, tf.newaxis] * size + tf.maximum(values, 0)
    cell, position = tf.unique(tf.reshape(cells, [-1]))
    sums = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), position, tf.size(cell))
    return tf.math.unsorted_segment_sum(sums**2, cell // size, rows)
