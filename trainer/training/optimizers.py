"""The optimizer: one for all weights, or one for embedding tables and one for the rest."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config.training import OptimizerConfig, UpdateRule
from trainer.training.schedules import Plateau, WarmupSchedule

Optimizer: TypeAlias = tf.keras.optimizers.Optimizer | tfrs.experimental.optimizers.CompositeOptimizer
GradientAndVariable = tuple[tf.Tensor | None, tf.Variable]


class CompositeOptimizer(tfrs.experimental.optimizers.CompositeOptimizer):
    """TFRS's composite optimizer, with all gradients clipped together.

    Each part by itself would clip by its own part's norm, and turn the direction of the step.

    Args:
        parts: optimizers that do not clip, with the variables of each.
        clip_norm: the largest norm of all gradients.
    """

    def __init__(
        self, parts: Sequence[tuple[tf.keras.optimizers.Optimizer, Sequence[tf.Variable]]], clip_norm: float
    ) -> None:
        super().__init__([(optimizer, lambda own=tuple(variables): own) for optimizer, variables in parts])
        self._clip_norm = clip_norm
        for optimizer, variables in parts:
            optimizer.build(variables)

    def apply_gradients(
        self,
        grads_and_vars: Iterable[GradientAndVariable],
        name: str | None = None,
        experimental_aggregate_gradients: bool = True,
    ) -> None:
        """Applies the gradients, summed over the replicas."""
        pairs = list(grads_and_vars)
        if experimental_aggregate_gradients:
            pairs = self.optimizers[0].aggregate_gradients(pairs)
        gradients, variables = zip(*pairs, strict=True)
        clipped, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        super().apply_gradients(zip(clipped, variables, strict=True), name, experimental_aggregate_gradients=False)


def make_optimizer(
    config: OptimizerConfig, steps: int, variables: Sequence[tf.Variable], plateau: Plateau | None = None
) -> Optimizer:
    """The configured optimizer with its slots.

    Args:
        config: the rules, the schedule, weight decay and clipping.
        steps: of the whole training.
        variables: all that it trains.
        plateau: of the schedule of this name.
    """
    if config.embeddings is None and not config.dense_weight_decay:
        optimizer = _rule(config, WarmupSchedule(config, steps, plateau=plateau), config.weight_decay, config.clip_norm)
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if not is_embedding(v)])
        optimizer.build(variables)
        return optimizer
    tables = [v for v in variables if is_embedding(v)]
    others = [v for v in variables if not is_embedding(v)]
    own = config.embeddings or config
    dense = _rule(config, WarmupSchedule(config, steps, plateau=plateau), config.dense_weight_decay)
    dense.exclude_from_weight_decay(var_list=[v for v in others if v.shape.rank < 2])
    embeddings = _rule(own, WarmupSchedule(config, steps, own.learning_rate, plateau), config.weight_decay)
    return CompositeOptimizer([(dense, others), (embeddings, tables)], config.clip_norm)


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """The rates of the last step by name."""
    if not isinstance(optimizer, CompositeOptimizer):
        return {"learning_rate": float(optimizer.learning_rate.numpy())}
    dense, embeddings = (float(part.learning_rate.numpy()) for part in optimizer.optimizers)
    return {"learning_rate": dense, "learning_rate/embeddings": embeddings}


def is_embedding(variable: tf.Variable) -> bool:
    """Whether a variable is an embedding table."""
    return "embeddings" in variable.name


def _rule(
    rule: UpdateRule, rate: WarmupSchedule, weight_decay: float, clip_norm: float | None = None
) -> tf.keras.optimizers.Optimizer:
    if rule.name == "adamw":
        return tf.keras.optimizers.AdamW(rate, weight_decay=weight_decay, global_clipnorm=clip_norm)
    if rule.name == "sgd":
        return tf.keras.optimizers.SGD(rate, rule.momentum, rule.nesterov, global_clipnorm=clip_norm)
    makers = {"adam": tf.keras.optimizers.Adam, "adagrad": tf.keras.optimizers.Adagrad}
    return makers[rule.name](rate, global_clipnorm=clip_norm)
