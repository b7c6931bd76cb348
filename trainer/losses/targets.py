"""What the retrieval task is trained with at each position of a window."""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from config.tasks import RetrievalTask
from trainer.data.windows import MASK, Window


class RetrievalTargets(NamedTuple):
    """The T positions that a window batch trains retrieval at.

    Attributes:
        index: int64 [T, 2], row and position.
        item: int64 [T, G], the positives from there on, V where there is none or it is no target.
        weight: float [T, G], 1 / gap scaled to sum 1; 0 where there is no target.
        event_item: int64 [T], the item of the position's own event.
        blocked: int64 [T, M], items that are no negatives: the targets and, if so configured, the history; distinct, V
            pads.
        window_item: int64 [T, L], all positives of the position's window; distinct, V pads.
    """

    index: tf.Tensor
    item: tf.Tensor
    weight: tf.Tensor
    event_item: tf.Tensor
    blocked: tf.Tensor
    window_item: tf.Tensor


def retrieval_targets(window: Window, task: RetrievalTask, size: int) -> RetrievalTargets:
    """Finds the positions with a known positive target and what each is trained with.

    Args:
        window: `mask`, `item_id`, `is_positive`, `is_target` [B, L].
        task: next_events is G.
        size: V.
    """
    item = window[feature_names.ITEM_ID]
    positive = window[MASK] & window[feature_names.IS_POSITIVE]
    index = tf.where(positive & window[feature_names.IS_TARGET] & (item < size))
    following = tf.gather_nd(_following_positives(item, positive, task.next_events, size), index)
    row, position = index[:, 0], index[:, 1:]
    positives = tf.where(positive, item, size)
    window_item = tf.gather(tf.where(~_repeats(positives), positives, size), row)
    history = tf.where(tf.range(tf.shape(item, tf.int64)[1]) < position, window_item, size)
    is_target = (following < size) & ~_repeats(following)
    if task.mask_history:
        is_target &= ~tf.reduce_any(following[:, :, tf.newaxis] == history[:, tf.newaxis], axis=-1)
    else:
        history = history[:, :0]
    following = tf.where(is_target, following, size)
    weight = tf.where(is_target, 1 / tf.range(1, task.next_events + 1, dtype=tf.float32), 0)
    weight = tf.math.divide_no_nan(weight, tf.reduce_sum(weight, axis=-1, keepdims=True))
    blocked = tf.concat([following, history], axis=1)
    return RetrievalTargets(index, following, weight, tf.gather_nd(item, index), blocked, window_item)


def _following_positives(item: tf.Tensor, positive: tf.Tensor, count: int, size: int) -> tf.Tensor:
    """int64 [B, L, G]: the G positives from each position on, its own event first; V where there are fewer."""
    order = tf.cumsum(tf.cast(positive, tf.int64), axis=1, exclusive=True)
    found = tf.where(positive)
    cells = tf.stack([found[:, 0], tf.gather_nd(order, found)], axis=1)
    rows, length = tf.unstack(tf.shape(item))
    packed = tf.fill([rows, length + count], tf.cast(size, tf.int64))
    packed = tf.tensor_scatter_nd_update(packed, cells, tf.gather_nd(item, found))
    return tf.gather(packed, order[..., tf.newaxis] + tf.range(count, dtype=tf.int64), batch_dims=1)


def _repeats(items: tf.Tensor) -> tf.Tensor:
    """int64 [T, G] -> bool [T, G]: whether an item stands earlier in its row."""
    same = items[:, :, tf.newaxis] == items[:, tf.newaxis]
    return tf.reduce_any(tf.linalg.band_part(same, -1, 0) & ~tf.eye(tf.shape(items)[1], dtype=tf.bool), axis=-1)
