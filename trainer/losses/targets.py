"""The events of a window batch that each task is trained with."""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from config.tasks import RetrievalTask
from trainer.data.windows import MASK, Window


class LossSum(NamedTuple):
    """The losses and weights of a task, summed over its targets: float scalars."""

    loss: tf.Tensor
    weight: tf.Tensor

    @classmethod
    def of(cls, losses: tf.Tensor, weights: tf.Tensor) -> "LossSum":
        """Sums losses and weights, float [T] each."""
        return cls(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))


class RetrievalTargets(NamedTuple):
    """The T positions at which a window batch trains retrieval.

    Attributes:
        index: int64 [T, 2], row and position.
        item: int64 [T, G], the positives from the position on, V where there is none or it is no target.
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
    """Finds the positions with a known positive target and their targets.

    Example:
        With G = 2 and V = 9, a window of positives 4 7 4 trains at its three positions:

            item         [4 7]       [7 4]       [4 9]
            weight       [2/3 1/3]   [2/3 1/3]   [1 0]
            window_item  [4 7 9] at each: the second 4 is a repetition

        With `mask_history` items of the history are no targets either: at positions 1 and 2 the 4 becomes 9, its weight
        0, and the rest is scaled to sum 1 where something is left.

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
    """Finds the G positives from each position on, its own event first: int64 [B, L, G]; V where there are fewer.

    Example:
        For items a b c d of which b is no positive and G = 2, `order` (the positives before each position) is
        [0 1 1 2] and `packed` a c d V V V: position 0 reads a c, positions 1 and 2 c d, position 3 d V.
    """
    order = tf.cumsum(tf.cast(positive, tf.int64), axis=1, exclusive=True)
    found = tf.where(positive)
    cells = tf.stack([found[:, 0], tf.gather_nd(order, found)], axis=1)
    rows, length = tf.unstack(tf.shape(item))
    packed = tf.fill([rows, length + count], tf.cast(size, tf.int64))
    packed = tf.tensor_scatter_nd_update(packed, cells, tf.gather_nd(item, found))
    return tf.gather(packed, order[..., tf.newaxis] + tf.range(count, dtype=tf.int64), batch_dims=1)


def _repeats(items: tf.Tensor) -> tf.Tensor:
    """Returns whether an item occurs earlier in its row, int64 [T, G] to bool [T, G]: 4 7 4 gives 0 0 1."""
    same = items[:, :, tf.newaxis] == items[:, tf.newaxis]
    return tf.reduce_any(tf.linalg.band_part(same, -1, 0) & ~tf.eye(tf.shape(items)[1], dtype=tf.bool), axis=-1)


class Targets(NamedTuple):
    """T comparisons of up to N events each, for a ranking task; N is 1 where events are trained alone.

    All events of a comparison are scored from one query: that before the earliest of them, which sees neither their
    items nor their outcomes. So it is in serving, where a user's candidates are scored from one query; from the later
    events' own queries a model would see the earlier event's outcome, which is its label. A comparison belongs to its
    newest event: just the one window of a user that has this event as a target trains it, and an eval window, whose
    last event is the target, compares that with the events before.

    Attributes:
        index: int64 [T, 2], row and position of the query.
        position: int64 [T, N], of the events in the row; none is before its query.
        item: int64 [T, N], to be scored.
        label: float [T, N].
        is_member: bool [T, N]; the other events have no part in the comparison.
        weight: float [T], positive.
    """

    index: tf.Tensor
    position: tf.Tensor
    item: tf.Tensor
    label: tf.Tensor
    is_member: tf.Tensor
    weight: tf.Tensor


def event_targets(window: Window, task: str) -> Targets:
    """Finds every labelled target event of a window batch [B, L], scored alone from its own query."""
    weight = tf.where(window[MASK] & window[feature_names.IS_TARGET], window[feature_names.weight(task)], 0)
    index = tf.where(weight > 0)
    item, label = (
        tf.gather_nd(window[n], index)[:, tf.newaxis] for n in (feature_names.ITEM_ID, feature_names.label(task))
    )
    return Targets(index, index[:, 1:], item, label, tf.ones_like(item, tf.bool), tf.gather_nd(weight, index))


def pair_targets(window: Window, task: str, within: int) -> Targets:
    """Finds pairs of labelled events whose labels and items differ, the later one a target and first in the pair.

    Example:
        In `found`, the cell (row 0, position 5, 1) pairs the event at position 5 with that at distance 2, the second of
        the distances 1, 2, ...: `later` is (0, 5) and `earlier`, which is the query too, (0, 5 - 1 - 1) = (0, 3).

    Args:
        window: [B, L].
        task: Its name.
        within: The largest distance between the events of a pair.

    Returns:
        N is 2; the weight is the product of both events' weights.
    """
    weight = tf.where(window[MASK], window[feature_names.weight(task)], 0)
    label, item = window[feature_names.label(task)], window[feature_names.ITEM_ID]
    distance = tf.range(1, within + 1)
    both = _backwards(weight, distance) * tf.where(window[feature_names.IS_TARGET], weight, 0)[..., tf.newaxis]
    differs = (_backwards(label, distance) != label[..., tf.newaxis]) & (
        _backwards(item, distance) != item[..., tf.newaxis]
    )
    found = tf.where((both > 0) & differs)
    later, earlier = found[:, :2], found[:, :2] - [[0, 1]] - tf.pad(found[:, 2:], [[0, 0], [1, 0]])
    items, labels = (tf.stack([tf.gather_nd(v, p) for p in (later, earlier)], axis=1) for v in (item, label))
    position = tf.stack([later[:, 1], earlier[:, 1]], axis=1)
    return Targets(earlier, position, items, labels, tf.ones_like(items, tf.bool), tf.gather_nd(both, found))


def list_targets(window: Window, task: str, length: int, has_sessions: bool) -> Targets:
    """Finds lists of labelled events of which at least two labels differ, the newest one a target.

    Args:
        window: [B, L].
        task: Its name.
        length: N, of the stretch of events that a list is taken from.
        has_sessions: Whether a list holds the events of one session alone, and ends with the session's last event;
            else every event ends a list.

    Returns:
        Each list from its newest event backwards; the weight is the newest event's.
    """
    weight = tf.where(window[MASK], window[feature_names.weight(task)], 0)
    distance = tf.range(length)
    is_member = _backwards(weight, distance) > 0
    ends = window[feature_names.IS_TARGET] & (weight > 0)
    if has_sessions:
        session = tf.where(weight > 0, window[feature_names.session(task)], -1)
        is_member &= _backwards(session, distance) == session[..., tf.newaxis]
        # A session goes on if one of the next N - 1 events has the same number; beyond the window it reads as -1.
        ahead = tf.reverse(_backwards(tf.reverse(session + 1, [1]), tf.range(1, length)), [1]) - 1
        ends &= (session >= 0) & ~tf.reduce_any(ahead == session[..., tf.newaxis], axis=-1)
    label = _backwards(window[feature_names.label(task)], distance)
    highest = tf.reduce_max(tf.where(is_member, label, label.dtype.min), axis=-1)
    lowest = tf.reduce_min(tf.where(is_member, label, label.dtype.max), axis=-1)
    newest = tf.where(ends & (highest > lowest))
    is_member, label = tf.gather_nd(is_member, newest), tf.gather_nd(label, newest)
    item = tf.gather_nd(_backwards(window[feature_names.ITEM_ID], distance), newest)
    back = tf.cast(tf.where(is_member, distance, 0), tf.int64)
    index = newest - tf.pad(tf.reduce_max(back, axis=-1, keepdims=True), [[0, 0], [1, 0]])
    return Targets(index, newest[:, 1:] - back, item, label, is_member, tf.gather_nd(weight, newest))


def _backwards(values: tf.Tensor, distance: tf.Tensor) -> tf.Tensor:
    """Returns the values [B, L] at given distances before each position [B, L, N]; 0 where the window has none.

    Example:
        Values a b c and distances 0, 1 give a 0, b a, c b.
    """
    index = tf.range(tf.shape(values)[1])[:, tf.newaxis] - distance
    return tf.where(index >= 0, tf.gather(values, tf.maximum(index, 0), axis=1), tf.zeros([], values.dtype))
