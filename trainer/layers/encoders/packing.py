"""Moves the visible events of each row side by side, so that hidden ones take no positions between them."""

from typing import NamedTuple

import tensorflow as tf


class Packing(NamedTuple):
    """Packs the visible events to the start of the row: the k-th of a row goes to position k.

    Example:
        A row with events a b c d e of which a, c and d are visible, [1, 0, 1, 1, 0]:
        source is [0, 2, 3, 1, 4] (the stable sort of what is hidden), count is [1, 1, 2, 3, 3];
        `pack` gives a c d, the longest row having three visible events;
        `unpack` of the states A C D gives A A C D D: at each position that of the newest visible event.

    Attributes:
        source: int32 [B, L], the position of the event at each packed position; the hidden ones follow the others.
        count: int32 [B, L], the number of visible events up to each position.
    """

    source: tf.Tensor
    count: tf.Tensor

    @classmethod
    def of(cls, visible: tf.Tensor) -> "Packing":
        """Makes the packing of visible events, bool [B, L]."""
        source = tf.argsort(tf.cast(~visible, tf.int32), axis=1, stable=True)
        return cls(source, tf.cumsum(tf.cast(visible, tf.int32), axis=1))

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """Packs [B, L, ...] to [B, longest, ...], as long as the most visible events of a row, at least 1."""
        longest = tf.reduce_max(tf.concat([[1], tf.reshape(self.count, [-1])], axis=0))
        return tf.gather(values, self.source[:, :longest], batch_dims=1)

    def unpack(self, states: tf.Tensor) -> tf.Tensor:
        """Returns the newest visible event's state at each position, zero before the first.

        Args:
            states: float [B, longest, D], by packed position.

        Returns:
            float [B, L, D].
        """
        newest = tf.gather(states, tf.maximum(self.count - 1, 0), batch_dims=1)
        return newest * tf.cast(self.count > 0, states.dtype)[..., tf.newaxis]


class EndPacking(NamedTuple):
    """Packs the counted events to the end of the row, where those of a front-padded row stand already.

    Example:
        A row with events a b c d of which a and c count, [1, 0, 1, 0]:
        source is [1, 3, 0, 2], `pack` gives b d a c;
        position is [2, 2, 3, 3], `unpack` of the states B D A C gives A A C C.

    Attributes:
        source: int32 [B, L], the position of the event at each packed position; those that do not count come first.
        position: int32 [B, L], the packed position of the newest counted event up to each position; 0 before the first.
        counts: bool [B, L], whether there is one.
    """

    source: tf.Tensor
    position: tf.Tensor
    counts: tf.Tensor

    @classmethod
    def of(cls, counted: tf.Tensor) -> "EndPacking":
        """Makes the packing of counted events, bool [B, L]."""
        is_counted = tf.cast(counted, tf.int32)
        count = tf.cumsum(is_counted, axis=1)
        others = tf.reduce_sum(1 - is_counted, axis=1, keepdims=True)
        position = tf.where(count > 0, others + count - 1, 0)
        return cls(tf.argsort(is_counted, axis=1, stable=True), position, count > 0)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """Packs [B, L, ...] to [B, L, ...]."""
        return tf.gather(values, self.source, batch_dims=1)

    def unpack(self, states: tf.Tensor) -> tf.Tensor:
        """Returns the newest counted event's state at each position, float [B, L, D]; zero before the first."""
        return tf.gather(states, self.position, batch_dims=1) * tf.cast(self.counts, states.dtype)[..., tf.newaxis]
