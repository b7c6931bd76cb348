"""A gated recurrent layer whose gradient is made of few large products."""

from collections.abc import Callable

import tensorflow as tf

_UNROLLED = 4
"""Events in one turn of a loop: each turn costs as much as some of the operations in it."""

Gradients = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


class GRUCell(tf.keras.layers.Layer):
    """Gated recurrent unit (Cho et al., 2014), the reset gate behind the product: update, reset, candidate.

    From a zero state. The events' part of the gates is one product for all events; only the state's part is computed
    one by one, in a loop of the graph.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]; the gates' columns stand side by side."""
        width = input_shape[-1]
        self.project = tf.keras.layers.Dense(3 * width, name="project")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=[width, 3 * width], initializer="orthogonal"
        )
        self.recurrent_bias = self.add_weight(name="recurrent_bias", shape=[width], initializer="zeros")
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """float [B, L, D] -> float [B, L, D], the state after each event."""
        projected = tf.transpose(self.project(events), [1, 0, 2])
        kernel, bias = (tf.convert_to_tensor(weight) for weight in (self.recurrent_kernel, self.recurrent_bias))
        return tf.transpose(gru_states(projected, kernel, bias), [1, 0, 2])


@tf.custom_gradient
def gru_states(projected: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Gradients]:
    """The states after each event, from a zero state.

    The gradient makes the gates of all events again at once from the states, and finds all that does not depend on
    the event behind before its loop: that has one product in a turn, and the weights' gradient is one product after it.

    Args:
        projected: float [L, B, 3 D], the events' part of the gates.
        kernel: float [D, 3 D].
        bias: float [D], of the candidate's product.

    Returns:
        float [L, B, D].
    """
    width = kernel.shape[0]
    of_gates, of_candidate = tf.split(projected, [2 * width, width], axis=-1)
    biases = tf.pad(bias, [[2 * width, 0]])

    def step(state: tf.Tensor, of_gates: tf.Tensor, of_candidate: tf.Tensor) -> tf.Tensor:
        recurrent = tf.nn.bias_add(tf.matmul(state, kernel), biases)
        update, _, _, candidate = _gates(recurrent, of_gates, of_candidate)
        return candidate + update * (state - candidate)

    states = unrolled_scan(step, tf.zeros_like(of_candidate[0]), of_gates, of_candidate)

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        before = tf.pad(states[:-1], [[1, 0], [0, 0], [0, 0]])
        recurrent = tf.tensordot(before, kernel, 1) + biases
        update, reset, product, candidate = _gates(recurrent, of_gates, of_candidate)
        by_candidate = (1 - update) * (1 - candidate**2)
        by_product = by_candidate * reset
        by_reset = by_product * product * (1 - reset)
        by_update = (before - candidate) * update * (1 - update)
        slopes = tf.stack([by_update, by_reset, by_product], axis=2)
        by_state = _by_state(upstream, update, slopes, kernel)
        by_recurrent = tf.reshape(by_state[:, :, tf.newaxis] * slopes, tf.shape(projected))
        by_projected = tf.concat([by_recurrent[..., : 2 * width], by_state * by_candidate], axis=-1)
        by_kernel = tf.tensordot(before, by_recurrent, [[0, 1], [0, 1]])
        return by_projected, by_kernel, tf.reduce_sum(by_recurrent[..., 2 * width :], axis=[0, 1])

    return states, gradients


def _gates(
    recurrent: tf.Tensor, of_gates: tf.Tensor, of_candidate: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Update, reset, the state's part of the candidate, and the candidate: float [..., D] each.

    Args:
        recurrent: float [..., 3 D], the state's part.
        of_gates: float [..., 2 D], the event's part of update and reset.
        of_candidate: float [..., D], and of the candidate.
    """
    width = of_candidate.shape[-1]
    by_gates, product = tf.split(recurrent, [2 * width, width], axis=-1)
    update, reset = tf.split(tf.sigmoid(of_gates + by_gates), 2, axis=-1)
    return update, reset, product, tf.tanh(of_candidate + reset * product)


def _by_state(upstream: tf.Tensor, update: tf.Tensor, slopes: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The gradient by the state after each event.

    Args:
        upstream: float [L, B, D], of what reads the states.
        update: float [L, B, D].
        slopes: float [L, B, 3, D], of the state after an event by the products of that before it.
        kernel: float [D, 3 D].

    Returns:
        float [L, B, D].
    """
    turned = tf.transpose(kernel)

    def step(later: tf.Tensor, upstream: tf.Tensor, update: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        whole = upstream + later
        by_product = tf.reshape(whole[:, tf.newaxis] * slopes, [-1, turned.shape[0]])
        return whole * update + tf.matmul(by_product, turned)

    backwards = [tf.reverse(values, axis=[0]) for values in (upstream, update, slopes)]
    earlier = unrolled_scan(step, tf.zeros_like(upstream[0]), *backwards)
    return upstream + tf.pad(tf.reverse(earlier, axis=[0])[1:], [[0, 1], [0, 0], [0, 0]])


def unrolled_scan(step: Callable[..., tf.Tensor], start: tf.Tensor, *elements: tf.Tensor) -> tf.Tensor:
    """state[t] = step(state[t - 1], elements of t), several in each turn of a loop.

    Args:
        step: gives a state of the shape of `start`.
        start: the state before the first.
        elements: [L, ...] each.

    Returns:
        [L, ...], the states.
    """
    length = tf.shape(elements[0])[0]
    blocks = tuple(_blocks(values, length) for values in elements)

    def turn(states: tf.Tensor, block: tuple[tf.Tensor, ...]) -> tf.Tensor:
        found = [states[-1]]
        for values in zip(*(tf.unstack(part, _UNROLLED) for part in block), strict=True):
            found.append(step(found[-1], *values))
        return tf.stack(found[1:])

    states = tf.scan(turn, blocks, tf.stack([start] * _UNROLLED))
    return tf.reshape(states, tf.concat([[-1], tf.shape(start)], axis=0))[:length]


def _blocks(values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """[L, ...] -> [turns, _UNROLLED, ...], zeros behind the last."""
    turns = -(-length // _UNROLLED)
    padded = tf.pad(values, [[0, turns * _UNROLLED - length]] + [[0, 0]] * (values.shape.rank - 1))
    return tf.reshape(padded, tf.concat([[turns, _UNROLLED], tf.shape(values)[1:]], axis=0))
