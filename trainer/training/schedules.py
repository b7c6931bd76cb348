"""The learning rate from step to step."""

import math

import tensorflow as tf

from config.training import OptimizerConfig, PlateauConfig
from trainer.training.improvement import Metrics, is_better, metric_of

_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


class Plateau(tf.Module):
    """A factor of the rate that falls when a metric of the eval split has not improved for some epochs.

    Its state is in variables, which are saved with the training.

    Args:
        config: which metric, how long and how far.

    Attributes:
        factor: of the rate, float32 in (0, 1].
    """

    def __init__(self, config: PlateauConfig) -> None:
        super().__init__(name="plateau")
        self._config = config
        self.factor = tf.Variable(1.0, trainable=False, name="factor", aggregation=_FIRST_REPLICA)
        self.best = tf.Variable(math.nan, dtype=tf.float64, trainable=False, name="best", aggregation=_FIRST_REPLICA)
        self.waited = tf.Variable(0, dtype=tf.int64, trainable=False, name="waited", aggregation=_FIRST_REPLICA)

    def end_epoch(self, evaluation: Metrics) -> None:
        """Takes note of an epoch's metrics. Raises ValueError where the watched one is not among them."""
        metric = self._config.metric
        value = metric_of(evaluation, metric, "training.optimizer.plateau.metric")
        if is_better(metric, value, float(self.best.numpy())):
            self.best.assign(value)
            self.waited.assign(0)
            return
        self.waited.assign_add(1)
        if int(self.waited.numpy()) >= self._config.patience:
            self.factor.assign(self.factor * self._config.factor)
            self.waited.assign(0)


class WarmupSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise over the first steps, then the configured schedule.

    Args:
        config: the warm-up and the shape.
        steps: of the whole training.
        peak: the rate after the warm-up; the configuration's when missing.
        plateau: of the schedule of this name.
    """

    def __init__(
        self, config: OptimizerConfig, steps: int, peak: float | None = None, plateau: Plateau | None = None
    ) -> None:
        self._config = config
        self._steps = steps
        self._peak = peak or config.learning_rate
        self._plateau = plateau

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of the step after `step` steps: scalar -> float32 scalar."""
        step = tf.cast(step, tf.float32)
        warmup = min(self._config.warmup_steps, self._steps // 2)
        rise = (step + 1) / (warmup + 1)
        done = tf.clip_by_value((step - warmup) / max(1, self._steps - warmup), 0, 1)
        falls = {
            "linear": 1 - done,
            "cosine": (1 + tf.cos(math.pi * done)) / 2,
            "exponential": tf.pow(self._config.final_share, done),
        }
        fall = falls.get(self._config.schedule, tf.ones_like(done))
        if self._plateau is not None:
            fall = tf.identity(self._plateau.factor)
        return self._peak * tf.minimum(rise, fall)

    def get_config(self) -> dict[str, object]:
        """For Keras."""
        return {"config": self._config.model_dump(), "steps": self._steps, "peak": self._peak}
