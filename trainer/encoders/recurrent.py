"""Recurrent networks over the history."""

from collections.abc import Callable

import tensorflow as tf

from pipeline.config.model import HistoryConfig
from trainer.encoders.packing import Packing
from trainer.randomness import Dropout, Randomness

State = tuple[tf.Tensor, ...]


class RecurrentEncoder(tf.keras.layers.Layer):
    """Stacked recurrent layers; an event that is not visible leaves the state as it was.

    Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks" (2016).

    Args:
        make_cell: gives a layer by its name: `GRUCell`, `LSTMCell`, or `MinGRUCell` of a length.
        config: layers, dropout.
        randomness: of the dropout, which follows each layer.
    """

    def __init__(
        self,
        make_cell: Callable[[str], tf.keras.layers.Layer],
        config: HistoryConfig,
        randomness: Randomness,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.cells = [make_cell(f"cell_{i}") for i in range(config.layers)]
        self.dropouts = [Dropout(config.dropout, randomness, name=f"dropout_{i}") for i in range(config.layers)]

    def call(self, events: tf.Tensor, visible: tf.Tensor, times: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [B, L, D], bool [B, L], int64 [B, L] (not read) -> float [B, L, D]."""
        packing = Packing.of(visible)
        states = packing.pack(events)
        for cell, dropout in zip(self.cells, self.dropouts, strict=True):
            states = dropout(cell(states), training=training)
        return packing.unpack(states)


class Cell(tf.keras.layers.Layer):
    """A recurrent layer from a zero state.

    The events' part of the gates is one product for all events; only the state's part is computed one by one.
    """

    gates: int
    states: int

    def __init__(self, name: str) -> None:
        super().__init__(name=name)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]; the gates' columns stand side by side."""
        width = input_shape[-1]
        self.project = tf.keras.layers.Dense(
            self.gates * width, bias_initializer=self.bias_start(width), name="project"
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=[width, self.gates * width], initializer="orthogonal"
        )
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """float [B, L, D] -> float [B, L, D], the state after each event."""
        projected = tf.transpose(self.project(events), [1, 0, 2])
        start = (tf.zeros_like(events[:, 0]),) * self.states
        return tf.transpose(tf.scan(self.step, projected, start)[0], [1, 0, 2])

    def bias_start(self, width: int) -> tf.keras.initializers.Initializer:
        """Of the gates' biases, float [gates D]."""
        return tf.keras.initializers.Zeros()

    def step(self, state: State, projected: tf.Tensor) -> State:
        """The state float [B, D] (the output first) before an event and its gates float [B, gates D] -> after it."""
        raise NotImplementedError


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al., 2014), the reset gate behind the product: update, reset, candidate."""

    gates, states = 3, 1

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]."""
        self.recurrent_bias = self.add_weight(name="recurrent_bias", shape=[input_shape[-1]], initializer="zeros")
        super().build(input_shape)

    def step(self, state: State, projected: tf.Tensor) -> State:
        """See `Cell`."""
        (output,) = state
        width = output.shape[-1]
        recurrent = tf.matmul(output, self.recurrent_kernel)
        update, reset = tf.split(tf.sigmoid(projected[:, : 2 * width] + recurrent[:, : 2 * width]), 2, axis=-1)
        candidate = tf.tanh(projected[:, 2 * width :] + reset * (recurrent[:, 2 * width :] + self.recurrent_bias))
        return (candidate + update * (output - candidate),)


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997): input, forget, output, candidate.

    The forget gate's bias starts at 1 (Jozefowicz et al., 2015).
    """

    gates, states = 4, 2

    def bias_start(self, width: int) -> tf.keras.initializers.Initializer:
        """1 for the forget gate."""
        return tf.keras.initializers.Constant([0.0] * width + [1.0] * width + [0.0] * (2 * width))

    def step(self, state: State, projected: tf.Tensor) -> State:
        """See `Cell`."""
        output, memory = state
        width = output.shape[-1]
        gates = projected + tf.matmul(output, self.recurrent_kernel)
        take, keep, show = tf.split(tf.sigmoid(gates[:, : 3 * width]), 3, axis=-1)
        memory = keep * memory + take * tf.tanh(gates[:, 3 * width :])
        return show * tf.tanh(memory), memory
