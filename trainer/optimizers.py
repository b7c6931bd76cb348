"""The optimizer and its learning rate's schedule."""

import math

import tensorflow as tf

from pipeline.config.training import OptimizerConfig


class WarmupSchedule(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise over the first steps, then constant, or a linear or cosine fall to zero at the last step.

    Args:
        config: the peak, the warm-up and the shape.
        steps: of the whole training.
    """

    def __init__(self, config: OptimizerConfig, steps: int) -> None:
        self._config = config
        self._steps = steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of the step after `step` steps: scalar -> float32 scalar."""
        step = tf.cast(step, tf.float32)
        warmup = min(self._config.warmup_steps, self._steps // 2)
        rise = (step + 1) / (warmup + 1)
        done = tf.clip_by_value((step - warmup) / max(1, self._steps - warmup), 0, 1)
        falls = {"constant": tf.ones_like(done), "linear": 1 - done, "cosine": (1 + tf.cos(math.pi * done)) / 2}
        return self._config.learning_rate * tf.minimum(rise, falls[self._config.schedule])

    def get_config(self) -> dict[str, object]:
        """For Keras."""
        return {"config": self._config.model_dump(), "steps": self._steps}


def make_optimizer(config: OptimizerConfig, steps: int) -> tf.keras.optimizers.Optimizer:
    """The configured optimizer for a training of so many steps; `adamw` decays embedding tables only."""
    rate, clip = WarmupSchedule(config, steps), config.clip_norm
    if config.name == "adamw":
        optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, global_clipnorm=clip)
        optimizer.exclude_from_weight_decay(var_names=["^((?!embeddings).)*$"])
        return optimizer
    makers = {
        "adam": tf.keras.optimizers.Adam,
        "adagrad": tf.keras.optimizers.Adagrad,
        "sgd": tf.keras.optimizers.SGD,
    }
    return makers[config.name](rate, global_clipnorm=clip)
