"""Which events of a window batch a task is trained with, alone or compared with each other.

What is compared is scored from one query: that before the earliest of the events. It sees none of them, neither their
items nor their outcomes; and it is what happens in serving, where a user's candidates are scored from one query too.
From the later events' own queries a model would see the earlier event's outcome, which is its answer. A comparison
belongs to its newest event, so that of all windows of a user just the one trains it that has the event as a target,
and an eval window, whose last event is the target, compares it with the events before.
"""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from trainer.data.windows import MASK, Window


class Targets(NamedTuple):
    """T comparisons of up to N events each; N is 1 where events stand alone.

    Attributes:
        index: int64 [T, 2], row and position of the query.
        position: int64 [T, N], of the events in the row; no event stands before its query.
        item: int64 [T, N], to be scored.
        label: float [T, N].
        is_member: bool [T, N]; what is no member has no part in the comparison.
        weight: float [T], positive.
    """

    index: tf.Tensor
    position: tf.Tensor
    item: tf.Tensor
    label: tf.Tensor
    is_member: tf.Tensor
    weight: tf.Tensor


def event_targets(window: Window, task: str) -> Targets:
    """Every labelled target event alone, scored from its own query."""
    weight = tf.where(window[MASK] & window[feature_names.IS_TARGET], window[feature_names.weight(task)], 0)
    index = tf.where(weight > 0)
    item, label = (
        tf.gather_nd(window[n], index)[:, tf.newaxis] for n in (feature_names.ITEM_ID, feature_names.label(task))
    )
    return Targets(index, index[:, 1:], item, label, tf.ones_like(item, tf.bool), tf.gather_nd(weight, index))


def pair_targets(window: Window, task: str, within: int) -> Targets:
    """Pairs of labelled events whose labels and items differ, the later one a target and first in the pair.

    Args:
        window: [B, L].
        task: its name.
        within: how far the events of a pair stand apart at most.

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
    """Lists of labelled events of which at least two labels differ, the newest one a target.

    Args:
        window: [B, L].
        task: its name.
        length: of the stretch of events that a list is made of, which is N.
        has_sessions: whether a list holds the events of one session alone, and ends with the session's last event;
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
        ends &= (session >= 0) & ~_goes_on(session, length)
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
    """[B, L] -> [B, L, N]: the values so many indices before; 0 where the window has none."""
    index = tf.range(tf.shape(values)[1])[:, tf.newaxis] - distance
    return tf.where(index >= 0, tf.gather(values, tf.maximum(index, 0), axis=1), tf.zeros([], values.dtype))


def _goes_on(session: tf.Tensor, length: int) -> tf.Tensor:
    """bool [B, L]: whether one of the next `length` - 1 events is of the same session."""
    ahead = tf.reverse(_backwards(tf.reverse(session + 1, [1]), tf.range(1, length)), [1]) - 1
    return tf.reduce_any(ahead == session[..., tf.newaxis], axis=-1)
