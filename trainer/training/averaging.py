"""The moving average of the weights over the steps of a training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf

from trainer.losses.balancing.gradients import Gradient
from trainer.training.optimizers import is_embedding

_RAMP = 10


class WeightAverage(tf.Module):
    """An exponential moving average of weights, which averages out the noise of the last steps.

    Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992), with exponential weights. After
    step t the average is k average + (1 - k) weights with k = min(decay, (1 + t) / (10 + t)), so that the initial
    weights are soon forgotten. (`use_ema` of tf_keras' optimizers has a fixed k, and cannot evaluate the averages and
    then train on.)

    Where only the touched rows of embedding tables change, no step passes over a whole table. While a row's weights w
    stay as they are, the steps' updates of its average a add up to w + K (a - w), where K is the product of their k:
    that is done before the row changes (`before`), and for all rows before the averages are used.

    Args:
        variables: Their averages are the same on every replica.
        decay: In (0, 1).
        strategy: Of the variables; the averages are on the same devices.
        is_lazy: Whether `before` is called in every step.
    """

    def __init__(
        self, variables: Sequence[tf.Variable], decay: float, strategy: tf.distribute.Strategy, is_lazy: bool = False
    ) -> None:
        super().__init__(name="weight_average")
        self._variables = list(variables)
        self._decay = decay
        self._strategy = strategy
        self._tables = [i for i, v in enumerate(variables) if is_lazy and is_embedding(v)]
        with strategy.scope():
            self.averages = [tf.Variable(v.read_value(), trainable=False, name="average") for v in variables]
            # Logarithms of the products of k: of all steps, and of the steps until each row's last update.
            self.log_kept = tf.Variable(0.0, trainable=False, dtype=tf.float64, name="log_kept")
            shapes = [variables[i].shape[:1] for i in self._tables]
            self.row_log_kept = [tf.Variable(tf.zeros(shape), trainable=False, name="log_kept") for shape in shapes]

    def before(self, gradients: Sequence[Gradient]) -> None:
        """Updates the averages of the rows that the gradients of all variables are about to change.

        Args:
            gradients: The sums over the replicas; called inside a replica's context.
        """
        touched = [(table, gradients[i]) for table, i in enumerate(self._tables) if gradients[i] is not None]
        rows = {t: g.indices if isinstance(g, tf.IndexedSlices) else _all_rows(g) for t, g in touched}
        if rows:
            tf.distribute.get_replica_context().merge_call(self._update_rows, args=(rows,))

    def update(self, step: tf.Tensor) -> None:
        """Updates the averages by the weights after step, int64 scalar; called in the cross-replica context."""
        done = tf.cast(step, tf.float32)
        kept = tf.minimum(self._decay, (1 + done) / (_RAMP + done))
        for number, (average, variable) in enumerate(zip(self.averages, self._variables, strict=True)):
            if number not in self._tables:
                self._strategy.extended.update(average, _move, args=(variable, kept))
        if self._tables:
            self.log_kept.assign_add(tf.math.log(tf.cast(kept, tf.float64)))

    def assign(self) -> None:
        """Assigns the averages to the variables."""
        self._update_all_rows()
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

    def _update_rows(self, strategy: tf.distribute.Strategy, rows: dict[int, tf.Tensor]) -> None:
        """Updates the averages of rows int64 [n] of tables, by their number, in the cross-replica context."""
        now = tf.cast(self.log_kept.read_value(), tf.float32)
        for table, touched in rows.items():
            number = self._tables[table]
            args = (self._variables[number], self.row_log_kept[table], touched, now)
            strategy.extended.update(self.averages[number], _move_rows, args=args)

    def _update_all_rows(self) -> None:
        self._update_rows(self._strategy, {t: _all_rows(self._variables[i]) for t, i in enumerate(self._tables)})


def _all_rows(table: tf.Tensor | tf.Variable) -> tf.Tensor:
    return tf.range(table.shape[0], dtype=tf.int64)


def _move(average: tf.Variable, variable: tf.Variable, kept: tf.Tensor) -> None:
    average.assign(variable + kept * (average - variable))


def _move_rows(
    average: tf.Variable, variable: tf.Variable, row_log_kept: tf.Variable, rows: tf.Tensor, now: tf.Tensor
) -> None:
    kept = tf.exp(now - tf.gather(row_log_kept, rows))[:, tf.newaxis]
    weights = tf.gather(variable, rows)
    average.scatter_update(tf.IndexedSlices(weights + kept * (tf.gather(average, rows) - weights), rows))
    row_log_kept.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(rows), now), rows))
