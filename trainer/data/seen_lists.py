"""What the users of sampled windows have seen before, put together from the parts that the users' windows hold."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from trainer.data.windows import Window

OWN = -1
"""The count of a window that shares no list: its own `seen_item_id` is what its user has seen."""
_Integers = NDArray[np.int64]


class Parts(NamedTuple):
    """What B windows hold of their users' lists.

    Attributes:
        items: int64 [B, *], the parts.
        start: int64 [B], their positions in the lists.
        count: int64 [B], the number of the list's first items that were seen; `OWN` where no list is shared.
    """

    items: tf.RaggedTensor
    start: tf.Tensor
    count: tf.Tensor

    @classmethod
    def parsed(cls, serialized: tf.Tensor) -> "Parts":
        """Parses transformed examples, string [B]."""
        names = (feature_names.SEEN_ITEM_ID, feature_names.SEEN_START, feature_names.SEEN_COUNT)
        found = tf.io.parse_example(serialized, {name: tf.io.RaggedFeature(tf.int64) for name in names})
        start, count = (found[name].to_tensor(OWN, shape=[None, 1])[:, 0] for name in names[1:])
        return cls(found[feature_names.SEEN_ITEM_ID], start, count)


class PartCollector:
    """Collects the parts of users' lists."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, _Integers]] = defaultdict(dict)

    def add(self, user: _Integers, parts: Parts) -> None:
        """Adds the parts of windows of users, int64 [B]."""
        starts, items = parts.start.numpy(), parts.items.flat_values.numpy()
        ends = parts.items.row_splits.numpy()
        for row in np.flatnonzero((parts.count.numpy() != OWN) & (np.diff(ends) > 0)):
            self._parts[int(user[row])][int(starts[row])] = items[ends[row] : ends[row + 1]]

    def lists(self, users: int) -> "SeenLists":
        """Returns the lists of the users 0, 1, ...; empty where no part was added."""
        joined = [np.concatenate([np.zeros(0, np.int64), *self._sorted(user)]) for user in range(users)]
        ends = np.cumsum([0, *map(len, joined)])
        return SeenLists(np.concatenate([np.zeros(0, np.int64), *joined]), ends)

    def _sorted(self, user: int) -> list[_Integers]:
        parts = self._parts.get(user, {})
        return [parts[start] for start in sorted(parts)]


class SeenLists(NamedTuple):
    """The lists of n users, one after the other.

    Attributes:
        items: int64 [sum of lengths].
        ends: int64 [n + 1], where each list starts, and the end of the last.
    """

    items: _Integers
    ends: _Integers

    def completed(self, window: Window, user: tf.Tensor, count: tf.Tensor, padding: int) -> Window:
        """Completes `seen_item_id` of windows of users, int64 [B], who have seen the first `count` items, int64 [B]."""
        own = window[feature_names.SEEN_ITEM_ID]
        own = tf.where((count == OWN)[:, tf.newaxis], own, tf.constant(padding, own.dtype))
        start = tf.gather(self.ends, user)
        cells = tf.ragged.range(start, start + tf.maximum(count, 0))
        shared = cells.with_values(tf.gather(self.items, cells.flat_values)).to_tensor(padding)
        return window | {feature_names.SEEN_ITEM_ID: tf.concat([own, shared], axis=1)}
