"""The average of the weights over the steps of a training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf

_RAMP = 10


class WeightAverage(tf.Module):
    """An exponential moving average of weights, which forgets the noise of the last steps.

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), with the older steps
    forgotten. After step t the average keeps the share min(decay, (1 + t) / (10 + t)) of itself, so that the weights
    before training leave it soon.

    Args:
        variables: what is averaged, on every replica alike.
        decay: the share of the average that each step keeps, in (0, 1).
        strategy: of the variables; the averages lie on the same devices.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float, strategy: tf.distribute.Strategy) -> None:
        super().__init__(name="weight_average")
        self._variables = list(variables)
        self._decay = decay
        self._strategy = strategy
        with strategy.scope():
            self.averages = [tf.Variable(v.read_value(), trainable=False, name="average") for v in variables]

    def update(self, step: tf.Tensor) -> None:
        """Takes in the weights after so many steps, int64 scalar; outside of the replicas' own code."""
        done = tf.cast(step, tf.float32)
        kept = tf.minimum(self._decay, (1 + done) / (_RAMP + done))
        for average, variable in zip(self.averages, self._variables, strict=True):
            self._strategy.extended.update(average, _move, args=(variable, kept))

    def assign(self) -> None:
        """Gives the variables their averages."""
        for variable, average in zip(self._variables, self.averages, strict=True):
            variable.assign(average.read_value())

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The variables hold their averages inside, and afterwards what they held before."""
        before = [variable.read_value() for variable in self._variables]
        self.assign()
        try:
            yield
        finally:
            for variable, value in zip(self._variables, before, strict=True):
                variable.assign(value)


def _move(average: tf.Variable, variable: tf.Variable, kept: tf.Tensor) -> None:
    average.assign(variable + kept * (average - variable))
