"""Optimizers that update only those rows of an embedding table that a step has a gradient of."""

from collections.abc import Sequence

import tensorflow as tf


class LazyAdamW(tf.keras.optimizers.AdamW):
    """AdamW whose moments and weights are those of the touched rows only, where a gradient is sparse.

    The update of rows that have a gradient is that of AdamW, with the bias correction of the step. In the dense form
    the moments of all other rows shrink at every step, and move their weights on, in passes over the whole table. Here
    they stay as they are until the row has a gradient again, as in PyTorch's SparseAdam and TensorFlow Addons'
    LazyAdam. With every row in every step both forms are the same.

    The decoupled weight decay of Loshchilov and Hutter is not lost in between: a row that is touched again is first
    decayed by all steps since it was touched last, each at its own learning rate, and then stands where AdamW's decay
    would have left it. For this each row keeps the logarithm of its decay so far, one float.

    Dense gradients are those of AdamW. The optimizer expects every row at most once in a sparse gradient.
    """

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Makes the slots of the variables."""
        is_built = getattr(self, "_built", False)
        super().build(var_list)
        if is_built:
            return
        self._log_decay = self.add_variable([], tf.float64, name="log_decay")
        decaying = {i: v for i, v in enumerate(var_list) if self.weight_decay and self._use_weight_decay(v)}
        self._row_log_decays = {
            str(i): self.add_variable_from_reference(v, "log_decay", v.shape[:1]) for i, v in decaying.items()
        }

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Updates one variable."""
        index = self._index_dict[self._var_key(variable)]
        decay = self._row_log_decays.get(str(index))
        if not isinstance(gradient, tf.IndexedSlices):
            if decay is not None:
                variable.assign_sub(variable * self._step_decay(variable.dtype))
            super().update_step(gradient, variable)
            return
        rows, values = gradient.indices, gradient.values
        momentum, velocity = self._momentums[index], self._velocities[index]
        with tf.control_dependencies([values]):  # rows read before would undo what other workers change meanwhile
            m, v, weights = (tf.gather(slot, rows) for slot in (momentum, velocity, variable))
            if decay is not None:
                weights *= self._decay_since_last(decay, rows, variable)
        m += (values - m) * (1 - self.beta_1)
        v += (tf.square(values) - v) * (1 - self.beta_2)
        weights -= m * self._rate(variable.dtype) / (tf.sqrt(v) + self.epsilon)
        for slot, updated in ((momentum, m), (velocity, v), (variable, weights)):
            slot.scatter_update(tf.IndexedSlices(updated, rows))

    def _rate(self, dtype: tf.DType) -> tf.Tensor:
        """Computes the learning rate with the bias correction of this step."""
        step = tf.cast(self.iterations + 1, dtype)
        first, second = (1 - tf.pow(tf.cast(beta, dtype), step) for beta in (self.beta_1, self.beta_2))
        return tf.cast(self.learning_rate, dtype) * tf.sqrt(second) / first

    def _step_decay(self, dtype: tf.DType) -> tf.Tensor:
        return tf.cast(self.weight_decay, dtype) * tf.cast(self.learning_rate, dtype)

    def _decay_since_last(self, decay: tf.Variable, rows: tf.Tensor, variable: tf.Variable) -> tf.Tensor:
        """Returns the factor of each row's weights, float [n, 1, ...]; the rows' decay is then that of this step."""
        now = tf.cast(self._log_decay, variable.dtype)
        factor = tf.exp(now - tf.gather(decay, rows))
        decay.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(rows), now), rows))
        return tf.reshape(factor, [-1] + [1] * (variable.shape.rank - 1))

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        """Does nothing: weights decay in `update_step`, which knows which rows are touched."""

    def _distributed_apply_gradients_fn(
        self,
        distribution: tf.distribute.Strategy,
        grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]],
        **kwargs: object,
    ) -> tf.Tensor:
        """Adds this step to the decay of all rows, then updates the variables."""
        if self.weight_decay:
            self._log_decay.assign_add(tf.math.log1p(-self._step_decay(tf.float64)))
        return super()._distributed_apply_gradients_fn(distribution, grads_and_vars, **kwargs)


class LazySGD(tf.keras.optimizers.SGD):
    """Gradient descent whose momentum is that of the touched rows only, where a gradient is sparse.

    The velocity of all other rows stays as it is until the row has a gradient again, and moves no weights meanwhile.
    """

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Updates one variable."""
        velocity = self.momentums[self._index_dict[self._var_key(variable)]]
        if velocity is None or not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        rows, step = gradient.indices, -gradient.values * tf.cast(self.learning_rate, variable.dtype)
        momentum = tf.cast(self.momentum, variable.dtype)
        with tf.control_dependencies([step]):  # as above
            moved = step + momentum * tf.gather(velocity, rows)
        velocity.scatter_update(tf.IndexedSlices(moved, rows))
        variable.scatter_add(tf.IndexedSlices(step + momentum * moved if self.nesterov else moved, rows))
