"""A gated recurrent layer whose gradient consists of few large matrix products."""

from collections.abc import Callable

import tensorflow as tf

_UNROLLED = 4
"""Events in one iteration of a loop: an iteration's overhead is that of several of its operations."""

Gradients = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


class GRUCell(tf.keras.layers.Layer):
    """Gated recurrent unit (Cho et al., 2014) with the reset gate applied after the matrix product.

    From the state h_0 = 0, with x_t the event:

        z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)                    update gate
        r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)                    reset gate
        c_t = tanh(W_c x_t + b_c + r_t * (U_c h_{t-1} + b_u))         candidate
        h_t = z_t * h_{t-1} + (1 - z_t) * c_t

    W x_t + b is one matrix product for all events; only the products with U are computed one by one, in a loop of the
    graph.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Adds the weights: input float [B, L, D]; the columns are those of z, r and c."""
        width = input_shape[-1]
        self.project = tf.keras.layers.Dense(3 * width, name="project")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=[width, 3 * width], initializer="orthogonal"
        )
        self.recurrent_bias = self.add_weight(name="recurrent_bias", shape=[width], initializer="zeros")
        super().build(input_shape)

    def call(self, events: tf.Tensor) -> tf.Tensor:
        """Computes the state after each event, float [B, L, D]: float [B, L, D]."""
        projected = tf.transpose(self.project(events), [1, 0, 2])
        kernel, bias = (tf.convert_to_tensor(weight) for weight in (self.recurrent_kernel, self.recurrent_bias))
        return tf.transpose(gru_states(projected, kernel, bias), [1, 0, 2])


@tf.custom_gradient
def gru_states(projected: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Gradients]:
    """Computes the states after each event, see `GRUCell`.

    The gradient. With a_z and a_r the arguments of the sigmoids and p = U_c h_{t-1} + b_u, h_t depends on U h_{t-1}
    through these, elementwise by

        d h_t / d a_z = (h_{t-1} - c_t) z_t (1 - z_t)
        d h_t / d p = (1 - z_t) (1 - c_t^2) r_t
        d h_t / d a_r = (d h_t / d p) p (1 - r_t)

    None of these depends on a later event: they are computed for all t at once from the states. With g_t = dL/dh_t,

        g_{t-1} = upstream_{t-1} + z_t g_t + U^T (g_t * [d h_t / d a_z, d h_t / d a_r, d h_t / d p])

    is one matrix product for each event (`_state_gradient`), and dL/dU = sum_t h_{t-1} (g_t * slopes_t)^T one in all.

    Args:
        projected: float [L, B, 3 D], W x + b.
        kernel: float [D, 3 D], U.
        bias: float [D], b_u.

    Returns:
        float [L, B, D].
    """
    width = kernel.shape[0]
    for_gates, for_candidate = tf.split(projected, [2 * width, width], axis=-1)
    biases = tf.pad(bias, [[2 * width, 0]])

    def step(state: tf.Tensor, for_gates: tf.Tensor, for_candidate: tf.Tensor) -> tf.Tensor:
        recurrent = tf.nn.bias_add(tf.matmul(state, kernel), biases)
        update, _, _, candidate = _gates(recurrent, for_gates, for_candidate)
        return candidate + update * (state - candidate)

    states = unrolled_scan(step, tf.zeros_like(for_candidate[0]), for_gates, for_candidate)

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        before = tf.pad(states[:-1], [[1, 0], [0, 0], [0, 0]])
        recurrent = tf.tensordot(before, kernel, 1) + biases
        update, reset, product, candidate = _gates(recurrent, for_gates, for_candidate)
        by_candidate = (1 - update) * (1 - candidate**2)
        by_product = by_candidate * reset
        by_reset = by_product * product * (1 - reset)
        by_update = (before - candidate) * update * (1 - update)
        slopes = tf.stack([by_update, by_reset, by_product], axis=2)
        by_state = _state_gradient(upstream, update, slopes, kernel)
        by_recurrent = tf.reshape(by_state[:, :, tf.newaxis] * slopes, tf.shape(projected))
        by_projected = tf.concat([by_recurrent[..., : 2 * width], by_state * by_candidate], axis=-1)
        by_kernel = tf.tensordot(before, by_recurrent, [[0, 1], [0, 1]])
        return by_projected, by_kernel, tf.reduce_sum(by_recurrent[..., 2 * width :], axis=[0, 1])

    return states, gradients


def _gates(
    recurrent: tf.Tensor, for_gates: tf.Tensor, for_candidate: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes z, r, p and c of `gru_states`, float [..., D] each.

    Args:
        recurrent: float [..., 3 D], U h + [0, 0, b_u].
        for_gates: float [..., 2 D], the event's part of z and r.
        for_candidate: float [..., D], the event's part of c.
    """
    width = for_candidate.shape[-1]
    by_gates, product = tf.split(recurrent, [2 * width, width], axis=-1)
    update, reset = tf.split(tf.sigmoid(for_gates + by_gates), 2, axis=-1)
    return update, reset, product, tf.tanh(for_candidate + reset * product)


def _state_gradient(upstream: tf.Tensor, update: tf.Tensor, slopes: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Computes g_t of `gru_states`, from the last event to the first.

    Args:
        upstream: float [L, B, D], the gradient by the states from what reads them.
        update: float [L, B, D], z.
        slopes: float [L, B, 3, D], d h_t by a_z, a_r and p.
        kernel: float [D, 3 D].

    Returns:
        float [L, B, D].
    """
    transposed = tf.transpose(kernel)

    def step(later: tf.Tensor, upstream: tf.Tensor, update: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        whole = upstream + later
        by_product = tf.reshape(whole[:, tf.newaxis] * slopes, [-1, transposed.shape[0]])
        return whole * update + tf.matmul(by_product, transposed)

    backwards = [tf.reverse(values, axis=[0]) for values in (upstream, update, slopes)]
    earlier = unrolled_scan(step, tf.zeros_like(upstream[0]), *backwards)
    return upstream + tf.pad(tf.reverse(earlier, axis=[0])[1:], [[0, 1], [0, 0], [0, 0]])


def unrolled_scan(step: Callable[..., tf.Tensor], start: tf.Tensor, *elements: tf.Tensor) -> tf.Tensor:
    """Computes state[t] = step(state[t - 1], elements of t), `_UNROLLED` of them in each iteration of a loop.

    Example:
        6 elements become 2 blocks of 4, the last two of them zeros; of the 8 states the first 6 are returned.

    Args:
        step: Returns a state of the shape of `start`.
        start: The state before the first.
        elements: [L, ...] each.

    Returns:
        [L, ...], the states.
    """
    length = tf.shape(elements[0])[0]
    count = -(-length // _UNROLLED)

    def blocks(values: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(values, [[0, count * _UNROLLED - length]] + [[0, 0]] * (values.shape.rank - 1))
        return tf.reshape(padded, tf.concat([[count, _UNROLLED], tf.shape(values)[1:]], axis=0))

    def iteration(states: tf.Tensor, block: tuple[tf.Tensor, ...]) -> tf.Tensor:
        found = [states[-1]]
        for values in zip(*(tf.unstack(part, _UNROLLED) for part in block), strict=True):
            found.append(step(found[-1], *values))
        return tf.stack(found[1:])

    states = tf.scan(iteration, tuple(map(blocks, elements)), tf.stack([start] * _UNROLLED))
    return tf.reshape(states, tf.concat([[-1], tf.shape(start)], axis=0))[:length]
