"""Recurrent networks over the history."""

from collections.abc import Callable

import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.encoders.base import Encoder
from trainer.layers.encoders.convolution import shifted
from trainer.layers.encoders.packing import Packing


class RecurrentEncoder(Encoder):
    """Stacked recurrent layers; an event that is not visible does not change the state.

    Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks" (2016).

    Args:
        make_cell: Makes a layer from its name: `GRUCell`, `LSTMCell`, or `MinGRUCell` of a length.
        config: layers, dropout.
        randomness: Of the dropout, which follows each layer.
    """

    def __init__(
        self,
        make_cell: Callable[..., tf.keras.layers.Layer],
        config: HistoryConfig,
        randomness: Randomness,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.cells = [make_cell(name=f"cell_{i}") for i in range(config.layers)]
        self.dropouts = [Dropout(config.dropout, randomness, name=f"dropout_{i}") for i in range(config.layers)]

    def call(
        self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False, newest: bool = False
    ) -> tf.Tensor:
        """See `Encoder`."""
        packing = Packing.of(visible)
        states = packing.pack(events)
        for cell, dropout in zip(self.cells, self.dropouts, strict=True):
            states = dropout(cell(states), training=training)
        return packing.unpack(states)


class LSTMCell(tf.keras.layers.Layer):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): input, candidate, forget, output.

    The state before the first event is zero, the forget gate's bias starts at 1 (Jozefowicz et al., 2015). All events
    are one TensorFlow operation, several times as fast as a loop of the graph. The operation is `BlockLSTM`: TensorFlow
    registers the gradient of `BlockLSTM` for `BlockLSTMV2` too, whose gates have another order.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]; the gates' columns stand side by side."""
        width = input_shape[-1]
        start = tf.keras.initializers.Constant([0.0] * (2 * width) + [1.0] * width + [0.0] * width)
        self.kernel = self.add_weight(name="kernel", shape=[width, 4 * width], initializer="glorot_uniform")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=[width, 4 * width], initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=[4 * width], initializer=start)
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """Computes the state after each event, float [B, L, D]: float [B, L, D]."""
        start, no_peepholes = tf.zeros_like(events[:, 0]), tf.zeros_like(self.bias[: events.shape[-1]])
        outputs = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.shape(events, tf.int64)[1],
            x=tf.transpose(events, [1, 0, 2]),
            cs_prev=start,
            h_prev=start,
            w=tf.concat([self.kernel, self.recurrent_kernel], axis=0),
            wci=no_peepholes,
            wcf=no_peepholes,
            wco=no_peepholes,
            b=self.bias,
            forget_bias=0.0,
            cell_clip=0.0,
        )
        return tf.transpose(outputs.h, [1, 0, 2])


class MinGRUCell(tf.keras.layers.Layer):
    """Minimal gated recurrent unit: the gates read the event, not the state, so that all states are found at once.

    Feng et al., "Were RNNs All We Needed?" (2024): h_t = z_t * h_{t-1} + (1 - z_t) * tanh(W_c x_t + b_c) with
    z_t = sigmoid(W_z x_t + b_z), each channel with a gate of its own.

    Args:
        longest: An upper bound of the number of events.
    """

    def __init__(self, longest: int, name: str) -> None:
        super().__init__(name=name)
        self._longest = longest

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]."""
        self.project = tf.keras.layers.Dense(2 * input_shape[-1], name="project")
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """Computes the state after each event, float [B, L, D]: float [B, L, D]."""
        gate, candidate = tf.split(self.project(events), 2, axis=-1)
        keep = tf.sigmoid(gate)
        return linear_recurrence(keep, (1 - keep) * tf.tanh(candidate), self._longest)


def linear_recurrence(keep: tf.Tensor, add: tf.Tensor, longest: int) -> tf.Tensor:
    """Computes state[t] = keep[t] * state[t - 1] + add[t], from a zero state, in log2(longest) steps.

    Each step joins two neighbouring stretches of events (Hillis and Steele, "Data parallel algorithms", 1986; Blelloch,
    "Prefix sums and their applications", 1990).

    Example:
        For keep k1 k2 k3 k4 and add a1 a2 a3 a4, the first step gives add a1, a2 + k2 a1, a3 + k3 a2, a4 + k4 a3 and
        keep 0, k2 k1, k3 k2, k4 k3; the second adds what lies two positions back, such as k3 k2 a1 to the third.

    Args:
        keep: float [B, L, D].
        add: float [B, L, D].
        longest: An upper bound of L.

    Returns:
        float [B, L, D].
    """
    lag = 1
    while lag < longest:
        add += keep * shifted(add, lag)
        keep *= shifted(keep, lag)
        lag *= 2
    return add
