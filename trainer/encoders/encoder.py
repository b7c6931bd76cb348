"""What every encoder of the history answers."""

from abc import abstractmethod

import tensorflow as tf


class Encoder(tf.keras.layers.Layer):
    """Makes a state of the visible events up to each place. Causal: a state sees nothing behind its place."""

    @abstractmethod
    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The states at all places.

        Args:
            events: float [B, L, D].
            visible: bool [B, L].
            times: int64 [B, L], seconds since 1970; 0 where unknown.

        Returns:
            float [B, L, D]; only visible places have a meaning.
        """

    def newest(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        """As `call` outside training at the last place alone: float [B, D]. An encoder may have a shorter way to it."""
        return self(events, visible, times)[:, -1]
