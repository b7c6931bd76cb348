"""The visible events side by side, so that what is not visible takes no room between them."""

from typing import NamedTuple

import tensorflow as tf


class Packing(NamedTuple):
    """Where the visible events go: the k-th of a row to position k.

    Attributes:
        source: int32 [B, L], the position of the event at each position; the invisible ones stand behind the others.
        count: int32 [B, L], the number of visible events up to each position.
    """

    source: tf.Tensor
    count: tf.Tensor

    @classmethod
    def of(cls, visible: tf.Tensor) -> "Packing":
        """bool [B, L]."""
        source = tf.argsort(tf.cast(~visible, tf.int32), axis=1, stable=True)
        return cls(source, tf.cumsum(tf.cast(visible, tf.int32), axis=1))

    def longest(self) -> tf.Tensor:
        """int32 scalar: the most visible events of a row, at least 1. Later positions hold nothing that is visible."""
        return tf.reduce_max(tf.concat([[1], tf.reshape(self.count, [-1])], axis=0))

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """[B, L, ...] by position -> [B, longest, ...] by position."""
        return tf.gather(values, self.source[:, : self.longest()], batch_dims=1)

    def unpack(self, states: tf.Tensor) -> tf.Tensor:
        """[B, longest, D] by position -> [B, L, D]: the newest visible event's at each position, zero before the first."""
        newest = tf.gather(states, tf.maximum(self.count - 1, 0), batch_dims=1)
        return newest * tf.cast(self.count > 0, states.dtype)[..., tf.newaxis]


class EndPacking(NamedTuple):
    """Where counted events go: side by side to the end of the row, where they stand already in a row that is padded at
    the front and holds nothing else.

    Attributes:
        source: int32 [B, L], the position of the event at each position; those that do not count stand before the others.
        position: int32 [B, L], where the newest counted event up to each position goes; 0 before the first.
        counts: bool [B, L], whether there is one.
    """

    source: tf.Tensor
    position: tf.Tensor
    counts: tf.Tensor

    @classmethod
    def of(cls, counted: tf.Tensor) -> "EndPacking":
        """bool [B, L]."""
        is_counted = tf.cast(counted, tf.int32)
        count = tf.cumsum(is_counted, axis=1)
        before = tf.reduce_sum(1 - is_counted, axis=1, keepdims=True)
        position = tf.where(count > 0, before + count - 1, 0)
        return cls(tf.argsort(is_counted, axis=1, stable=True), position, count > 0)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """[B, L, ...] by position -> [B, L, ...] by position."""
        return tf.gather(values, self.source, batch_dims=1)

    def unpack(self, states: tf.Tensor) -> tf.Tensor:
        """[B, L, D] by position -> [B, L, D]: the newest counted event's at each position, zero before the first."""
        return tf.gather(states, self.position, batch_dims=1) * tf.cast(self.counts, states.dtype)[..., tf.newaxis]
