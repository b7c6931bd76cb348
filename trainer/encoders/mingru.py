"""A recurrent layer without a loop over the events."""

import tensorflow as tf

from trainer.encoders.convolution import shifted


class MinGRUCell(tf.keras.layers.Layer):
    """Minimal gated recurrent unit: the gates read the event, not the state, so that all states are found at once.

    Feng et al., "Were RNNs All We Needed?" (2024). The state after an event is keep * state before + (1 - keep) *
    tanh(candidate), each channel with a gate of its own: what an event is decides what it makes the model forget.

    Args:
        longest: an upper bound of the number of events.
    """

    def __init__(self, longest: int, name: str) -> None:
        super().__init__(name=name)
        self._longest = longest

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]."""
        self.project = tf.keras.layers.Dense(2 * input_shape[-1], name="project")
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """float [B, L, D] -> float [B, L, D], the state after each event."""
        gate, candidate = tf.split(self.project(events), 2, axis=-1)
        keep = tf.sigmoid(gate)
        return linear_recurrence(keep, (1 - keep) * tf.tanh(candidate), self._longest)


def linear_recurrence(keep: tf.Tensor, add: tf.Tensor, longest: int) -> tf.Tensor:
    """state[t] = keep[t] * state[t - 1] + add[t], from a zero state, in log2(longest) steps.

    Each step joins what the events of two neighbouring stretches do (Hillis and Steele, "Data parallel algorithms",
    1986; Blelloch, "Prefix sums and their applications", 1990).

    Args:
        keep, add: float [B, L, D].
        longest: an upper bound of L.

    Returns:
        float [B, L, D].
    """
    lag = 1
    while lag < longest:
        add += keep * shifted(add, lag)
        keep *= shifted(keep, lag)
        lag *= 2
    return add
