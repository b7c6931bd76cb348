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
    cell, added = _cells(kinds, history)
    near = tf.gather(tf.reshape(others, [-1]), cell)
    row, item = cell // size, cell % size
    far = tf.tensor_scatter_nd_update(
        others, tf.stack([row, item], axis=1), tf.fill(tf.shape(near), tf.constant(float("-inf"), near.dtype))
    )
    best, best_item = tf.math.top_k(far, tf.minimum(top, tf.shape(far)[1]))
    is_before, is_near_before = tf.cast(best_item, tf.int64) < position, item < tf.gather(position[:, 0], row)
    rows = tf.shape(scores)[0]

    def ranks(weights: tf.Tensor) -> tf.Tensor:
        score = own + tf.linalg.matvec(own_added, weights)
        ahead = tf.math.count_nonzero(_is_ahead(best, score[:, tf.newaxis], is_before), axis=1, dtype=tf.int32)
        is_near_ahead = _is_ahead(near + tf.linalg.matvec(added, weights), tf.gather(score, row), is_near_before)
        ahead += tf.math.unsorted_segment_sum(tf.cast(is_near_ahead, tf.int32), row, rows)
        return tf.where(is_ranked, tf.cast(1 + ahead, tf.float32), float("inf"))

    return tf.map_fn(ranks, grid, parallel_iterations=1)


def _is_ahead(scores: tf.Tensor, score: tf.Tensor, is_before: tf.Tensor) -> tf.Tensor:
    """Whether items are ahead of a target: also of an equal score if they come before it. NaN is ahead."""
    is_behind = (scores < score) | ((scores == score) & ~is_before)
    return ~is_behind & (scores != float("-inf"))


def _cells(kinds: Sequence[Neighbours], history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the distinct cells row x V + item with a score of any kind, int64 [N], and the scores, float [N, K]."""
    found = [kind.cells(history) for kind in kinds]
    cell, place = tf.unique(tf.concat([cells for cells, _ in found], axis=0))
    places = tf.split(place, [tf.size(cells) for cells, _ in found])
    sums = [
        tf.math.unsorted_segment_sum(value, at, tf.size(cell)) for (_, value), at in zip(found, places, strict=True)
    ]
    return cell, tf.stack(sums, axis=1)
