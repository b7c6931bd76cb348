"""Ranks of targets under many weights of the neighbourhoods, from the items that any of the weights can rank first."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.metrics.ranks import mask_items
from trainer.stacking.neighbours import Neighbours


def weighted_ranks(
    scores: tf.Tensor,
    kinds: Sequence[Neighbours],
    history: tf.Tensor,
    target: tf.Tensor,
    seen: tf.Tensor,
    grid: tf.Tensor,
    top: int,
) -> tf.Tensor:
    """Ranks each row's target by the scores plus the weighted scores of K kinds of neighbourhoods.

    Only few items have a neighbourhood score, and no weight changes the order of the others: of these the best `top`
    suffice. So the catalogue is read once, and not once for each of the G weights.

    Args:
        scores: float [B, V], which no kind adds to.
        kinds: the K kinds.
        history: int64 [B, L], the oldest event first, V for none.
        target: int64 [B]; V for an unknown item.
        seen: int64 [B, S], items that are not ranked; entries outside [0, V) are padding.
        grid: float [G, K], the weights.
        top: the greatest rank that has to be exact.

    Returns:
        float [G, B] as `trainer.metrics.ranks.target_ranks`, where that is at most `top`; a greater number elsewhere.
    """
    size = tf.shape(scores, tf.int64)[1]
    is_ranked = (target < size) & ~tf.reduce_any(seen == target[:, tf.newaxis], axis=1)
    position = tf.where(target < size, target, 0)[:, tf.newaxis]
    own = tf.gather(scores, position, batch_dims=1)[:, 0]
    own_added = tf.concat([kind.scores_of(history, position) for kind in kinds], axis=1)
    others = mask_items(scores, tf.concat([seen, position], axis=1))
    cell, added, segment = _cells(kinds, history)
    row, item = cell // size, cell % size
    rows = tf.shape(scores, tf.int64)[0]
    place = tf.stack([row, _places(row, segment, rows, len(kinds))], axis=1)
    shape = tf.stack([rows, tf.reduce_max(tf.concat([place[:, 1], [0]], axis=0)) + 1])
    lowest = tf.constant(float("-inf"), scores.dtype)
    flat = tf.gather(tf.reshape(others, [-1]), cell)
    near = tf.tensor_scatter_nd_update(tf.fill(shape, lowest), place, flat)
    near_added = [tf.scatter_nd(place, of_kind, shape) for of_kind in added]
    is_near_before = tf.scatter_nd(place, tf.cast(item < tf.gather(position[:, 0], row), tf.int32), shape) > 0
    far = tf.tensor_scatter_nd_update(others, tf.stack([row, item], axis=1), tf.fill(tf.shape(flat), lowest))
    best, best_item = tf.math.top_k(far, tf.minimum(top, tf.shape(far)[1]))
    is_before = tf.cast(best_item, tf.int64) < position

    def ranks(weights: tf.Tensor) -> tf.Tensor:
        score = (own + tf.linalg.matvec(own_added, weights))[:, tf.newaxis]
        weighted = near + tf.add_n([weights[n] * of_kind for n, of_kind in enumerate(near_added)])
        ahead = [_is_ahead(best, score, is_before), _is_ahead(weighted, score, is_near_before)]
        count = tf.add_n([tf.reduce_sum(tf.cast(one, tf.int32), axis=1) for one in ahead])
        return tf.where(is_ranked, tf.cast(1 + count, tf.float32), float("inf"))

    return tf.map_fn(ranks, grid, parallel_iterations=1)


def _is_ahead(scores: tf.Tensor, score: tf.Tensor, is_before: tf.Tensor) -> tf.Tensor:
    """Whether items are ahead of a target: also of an equal score if they come before it. NaN is ahead."""
    is_behind = (scores < score) | ((scores == score) & ~is_before)
    return ~is_behind & (scores != float("-inf"))


def _cells(kinds: Sequence[Neighbours], history: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
    """Returns the distinct cells row x V + item with a score of any kind.

    Returns:
        The cells, int64 [N]; each kind's scores, float [N] each; and the first kind that has the cell, int64 [N]. Of
        the cells of the same first kind the rows rise.
    """
    found = [kind.cells(history) for kind in kinds]
    cell, place = tf.unique(tf.concat([cells for cells, _ in found], axis=0), out_idx=tf.int64)
    places = tf.split(place, [tf.size(cells) for cells, _ in found])
    ends = [tf.reduce_max(tf.concat([[-1], *places[: n + 1]], axis=0)) + 1 for n in range(len(kinds))]
    segment = tf.searchsorted(tf.stack(ends), tf.range(tf.size(cell, tf.int64)), side="right", out_type=tf.int64)
    sums = [
        tf.math.unsorted_segment_sum(value, at, tf.size(cell)) for (_, value), at in zip(found, places, strict=True)
    ]
    return cell, sums, segment


def _places(row: tf.Tensor, segment: tf.Tensor, rows: tf.Tensor, segments: int) -> tf.Tensor:
    """Numbers the cells of each row, int64 [N], whose rows rise within each segment: int64 [N] from 0.

    For example, the rows [0, 0, 2, 0, 2] in the segments [0, 0, 0, 1, 1] have the places [0, 1, 0, 2, 1].
    """
    key = segment * rows + row
    counts = tf.math.bincount(tf.cast(key, tf.int32), minlength=tf.cast(segments * rows, tf.int32), dtype=tf.int64)
    within = tf.range(tf.size(row, tf.int64)) - tf.gather(tf.cumsum(counts, exclusive=True), key)
    before = tf.cumsum(tf.reshape(counts, [segments, -1]), exclusive=True)
    return within + tf.gather(tf.reshape(before, [-1]), key)
