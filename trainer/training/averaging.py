"""The moving average of the weights over the steps of a training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf

_RAMP = 10


class WeightAverage(tf.Module):
    """An exponential moving average of weights, which averages out the noise of the last steps.

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), with exponential weights. After
    step t the average is k average + (1 - k) weights with k = min(decay, (1 + t) / (10 + t)), so that the initial
    weights are soon forgotten. (`use_ema` of tf_keras' optimizers has a fixed k, and cannot evaluate the averages and
    then train on.)

    Args:
        variables: Their averages are the same on every replica.
        decay: In (0, 1).
        strategy: Of the variables; the averages are on the same devices.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float, strategy: tf.distribute.Strategy) -> None:
        super().__init__(name="weight_average")
        self._variables = list(variables)
        self._decay = decay
        self._strategy = strategy
        with strategy.scope():
            self.averages = [tf.Variable(v.read_value(), trainable=False, name="average") for v in variables]

    def update(self, step: tf.Tensor) -> None:
        """Updates the averages by the weights after step, int64 scalar; called in the cross-replica context."""
        done = tf.cast(step, tf.float32)
        kept = tf.minimum(self._decay, (1 + done) / (_RAMP + done))
        for average, variable in zip(self.averages, self._variables, strict=True):
            self._strategy.extended.update(average, _move, args=(variable, kept))

    def assign(self) -> None:
        """Assigns the averages to the variables."""
        for variable, average in zip(self._variables, self.averages, strict=True):
            variable.assign(average.read_value())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Assigns the averages to the variables inside, and restores them afterwards."""
        before = [variable.read_value() for variable in self._variables]
        self.assign()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, before, strict=True):
                variable.assign(value)


def _move(average: tf.Variable, variable: tf.Variable, kept: tf.Tensor) -> None:
    average.assign(variable + kept * (average - variable))
