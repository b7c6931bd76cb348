"""The rank of a target among all items, and the best items, in TensorFlow; a user's earlier items may be left out."""

from typing import NamedTuple

import tensorflow as tf


def target_ranks(scores: tf.Tensor, target: tf.Tensor, seen: tf.Tensor, mask_seen: bool) -> tf.Tensor:
    """Ranks one target in each row against the whole catalogue.

    The rank is 1 + the number of items ahead: those with a higher score, and those with the same score and a smaller
    index. An item counts as ahead unless it is certainly behind, so a score that is not a number never helps a model.
    For example, with the scores [4, 2, 2, 1] the target 2 has the rank 3, and with the seen item 0 the rank 2.

    Args:
        scores: float [B, V].
        target: int64 [B]; V (or anything outside [0, V)) is an unknown item.
        seen: int64 [B, S], the user's earlier items; entries outside [0, V) are padding.
        mask_seen: whether seen items are taken out of the ranking.

    Returns:
        float32 [B]: 1 for the best; infinite for a target that is unknown or, with `mask_seen`, seen: no list has it.
    """
    size = tf.shape(scores, tf.int64)[1]
    is_known = _is_item(target, size)
    position = tf.where(is_known, target, 0)[:, tf.newaxis]
    score = tf.gather(scores, position, batch_dims=1)
    items = tf.range(size)[tf.newaxis]
    # `count_nonzero` would sum an array of 64-bit numbers, twice as large as the scores.
    behind = tf.reduce_sum(tf.cast(_is_behind(scores, items, score, position), tf.int32), axis=1)
    rank = size - tf.cast(behind, tf.int64)
    if mask_seen:
        seen = _distinct(seen, size)
        counts = _is_item(seen, size)
        is_ahead = ~_is_behind(tf.gather(scores, tf.where(counts, seen, 0), batch_dims=1), seen, score, position)
        rank -= tf.math.count_nonzero(counts & is_ahead, axis=1)
        is_known &= ~tf.reduce_any(seen == position, axis=1)
    return tf.where(is_known, tf.cast(rank, tf.float32), float("inf"))


def top_items(scores: tf.Tensor, k: int | tf.Tensor, seen: tf.Tensor, mask_seen: bool) -> tf.Tensor:
    """Finds the best k items of each row; of equal scores the smaller index comes first.

    Args:
        scores: float [B, V].
        k: the number of items.
        seen: int64 [B, S]; entries outside [0, V) are padding.
        mask_seen: whether seen items are taken out.

    Returns:
        int64 [B, k]; -1 behind the last item where a row has fewer.
    """
    if mask_seen:
        scores = mask_items(scores, seen)
    best, items = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    items = tf.where(best > scores.dtype.min, tf.cast(items, tf.int64), -1)
    return tf.pad(items, [[0, 0], [0, k - tf.shape(items)[1]]], constant_values=-1)


class FixedOrder(NamedTuple):
    """The order of all items by scores that no query changes: ranks cost the seen items, not the catalogue.

    For example, the scores [2, 4, 2] give the items [1, 0, 2] and the positions [1, 0, 2].

    Attributes:
        items: int64 [V], the best first; of equal scores the smaller index comes first.
        position: int64 [V], each item's position in `items`.
    """

    items: tf.Tensor
    position: tf.Tensor

    @classmethod
    def of(cls, scores: tf.Tensor) -> "FixedOrder":
        """Sorts scores, float [V], none of which is NaN."""
        items = tf.cast(tf.argsort(-scores, stable=True), tf.int64)
        return cls(items, tf.math.invert_permutation(items))

    def target_ranks(self, target: tf.Tensor, seen: tf.Tensor, mask_seen: bool) -> tf.Tensor:
        """Ranks as `target_ranks` does: int64 [B], int64 [B, S] -> float32 [B]."""
        size = tf.size(self.items, tf.int64)
        is_known = _is_item(target, size)
        target = tf.where(is_known, target, 0)[:, tf.newaxis]
        position = tf.gather(self.position, target)
        rank = position[:, 0] + 1
        if mask_seen:
            seen = _distinct(seen, size)
            counts = _is_item(seen, size)
            is_ahead = tf.gather(self.position, tf.where(counts, seen, 0)) < position
            rank -= tf.math.count_nonzero(counts & is_ahead, axis=1)
            is_known &= ~tf.reduce_any(seen == target, axis=1)
        return tf.where(is_known, tf.cast(rank, tf.float32), float("inf"))

    def top_items(self, k: int | tf.Tensor, seen: tf.Tensor, mask_seen: bool) -> tf.Tensor:
        """Finds the best items as `top_items` does: int64 [B, S] -> int64 [B, k]."""
        size, rows = tf.size(self.items, tf.int64), tf.shape(seen, tf.int64)[0]
        wide = tf.minimum(tf.cast(k, tf.int64) + (tf.shape(seen, tf.int64)[1] if mask_seen else 0), size)
        place = tf.tile(tf.range(wide)[tf.newaxis], [rows, 1])
        if mask_seen:
            position = tf.gather(self.position, tf.where(_is_item(seen, size), seen, 0))
            cells = tf.where(_is_item(seen, size) & (position < wide))
            cells = tf.stack([cells[:, 0], tf.gather_nd(position, cells)], axis=1)
            place = tf.tensor_scatter_nd_update(place, cells, tf.fill(tf.shape(cells)[:1], wide))
        nearest = -tf.math.top_k(-place, tf.cast(tf.minimum(tf.cast(k, tf.int64), wide), tf.int32)).values
        items = tf.where(nearest < wide, tf.gather(self.items, tf.minimum(nearest, wide - 1)), -1)
        return tf.pad(items, [[0, 0], [0, k - tf.shape(items)[1]]], constant_values=-1)


def mask_items(scores: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Sets the scores of items to minus infinity.

    Args:
        scores: float [B, V].
        items: int64 [B, E]; entries outside [0, V) are padding.

    Returns:
        float [B, V].
    """
    counts = tf.where(_is_item(items, tf.shape(scores, tf.int64)[1]))
    cells = tf.stack([counts[:, 0], tf.gather_nd(items, counts)], axis=1)
    lowest = tf.fill(tf.shape(cells)[:1], tf.constant(float("-inf"), scores.dtype))
    return tf.tensor_scatter_nd_update(scores, cells, lowest)


class ColdRanks:
    """Computes ranks among the cold items: those without a positive train event.

    Args:
        frequencies: float [V], positive train events; a variable that the exported object tracks.
        mask_seen: whether seen items are taken out of the ranking.
    """

    def __init__(self, frequencies: tf.Variable, mask_seen: bool) -> None:
        self._frequencies = frequencies
        self._mask_seen = mask_seen

    def is_cold(self, item: tf.Tensor) -> tf.Tensor:
        """Marks cold items: int64 [B] -> float [B], 1 or 0. The unknown item, V, is not cold."""
        size = tf.shape(self._frequencies, tf.int64)[0]
        count = tf.gather(self._frequencies, tf.minimum(item, size - 1))
        return tf.cast((count == 0) & (item < size), tf.float32)

    def ranks(self, scores: tf.Tensor, target: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Ranks cold targets as `target_ranks` does: float [B, V], int64 [B], int64 [B, S] -> float [B]."""
        among = tf.where(self._frequencies == 0, scores, scores.dtype.min)
        return target_ranks(among, target, seen, self._mask_seen)


def _is_item(index: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return (index >= 0) & (index < size)


def _is_behind(scores: tf.Tensor, items: tf.Tensor, score: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Whether items [1 or B, N] with scores [B, N] come after the item `position` [B, 1] with `score` [B, 1]."""
    return (scores < score) | ((scores == score) & (items > position))


def _distinct(items: tf.Tensor, padding: tf.Tensor) -> tf.Tensor:
    """Sorts each row and replaces repetitions by padding: [[7, 3, 7]] -> [[3, 7, padding]]."""
    items = tf.sort(items, axis=1)
    is_repeated = tf.concat([tf.zeros_like(items[:, :1], tf.bool), items[:, 1:] == items[:, :-1]], axis=1)
    return tf.where(is_repeated, padding, items)
