"""The items that the users of eval and test windows have seen before, of which each window holds a part."""

from typing import NamedTuple

import tensorflow as tf

from config import feature_names
from trainer.data.windows import row_lengths
from trainer.export.signatures.reader import Features, first_value

SEEN_FEATURES = (feature_names.SEEN_ITEM_ID, feature_names.SEEN_START, feature_names.SEEN_COUNT)


class SeenLists(NamedTuple):
    """The lists of the U users of a batch of B windows.

    For example, a user's windows with the parts [7, 3] from position 0 and [5] from position 2 have the list
    [7, 3, 5], of which a window with `seen_count` 2 has seen [7, 3].

    Attributes:
        items: int64 [U, S], V where a list is shorter, and where no window of the batch holds its part.
        user: int64 [B] in [0, U), each window's user.
        count: int64 [B], how many of the list's first items the window's user has seen.
    """

    items: tf.Tensor
    user: tf.Tensor
    count: tf.Tensor

    @classmethod
    def of(cls, raw: Features, seen: tf.SparseTensor, user_id: tf.Tensor, size: int) -> "SeenLists":
        """Joins the parts of each user's windows.

        Args:
            raw: the windows' raw features. Of one without `seen_count` its own items are the list.
            seen: the indexes of `seen_item_id` in [0, V], [B, *].
            user_id: string [B].
            size: V.
        """
        own = row_lengths(seen)
        start, count = (
            first_value(raw[name], default) if name in raw else tf.fill(tf.shape(own), tf.constant(default, tf.int64))
            for name, default in ((feature_names.SEEN_START, 0), (feature_names.SEEN_COUNT, -1))
        )
        row = tf.strings.as_string(tf.range(tf.size(own)))
        names = tf.where((count < 0) | (user_id == ""), "row " + row, "user " + user_id)
        users, user = tf.unique(names, out_idx=tf.int64)
        window, within = seen.indices[:, 0], seen.indices[:, 1]
        cells = tf.stack([tf.gather(user, window), tf.gather(start, window) + within], axis=1)
        longest = tf.reduce_max(tf.concat([cells[:, 1] + 1, [0]], axis=0))
        empty = tf.fill(tf.stack([tf.size(users, tf.int64), longest]), tf.constant(size, tf.int64))
        # Parts may overlap: they hold the same items there.
        items = tf.tensor_scatter_nd_update(empty, cells, seen.values)
        return cls(items, user, tf.where(count < 0, own, count))

    def of_rows(self, user: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Returns what windows int64 [R] of users with counts have seen: int64 [R, S], padded outside [0, V)."""
        items = tf.gather(self.items, user)
        is_seen = tf.range(tf.shape(items, tf.int64)[1]) < count[:, tf.newaxis]
        return tf.where(is_seen, items, items.dtype.max)
