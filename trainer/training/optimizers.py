"""The optimizer, one for all weights or one each for embedding tables and the rest, and its learning rate."""

import math
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config.training import OptimizerConfig, PlateauConfig, UpdateRule
from trainer.training.early_stopping import Metrics, is_better, metric_of
from trainer.training.lazy import LazyAdamW, LazySGD

Optimizer: TypeAlias = tf.keras.optimizers.Optimizer | tfrs.experimental.optimizers.CompositeOptimizer
GradientAndVariable = tuple[tf.Tensor | None, tf.Variable]

_SLOTS: Final = {"m": "_momentums", "v": "_velocities", "momentum": "momentums", "accumulator": "_accumulators"}
"""The attributes of tf_keras' optimizers that list the slots of all variables."""
_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


class Plateau(tf.Module):
    """A factor of the rate that falls when a metric of the eval split has not improved for some epochs.

    Unlike tf.keras.callbacks.ReduceLROnPlateau it works with a schedule, and its state is in variables, which are saved
    with the training.

    Args:
        config: The metric, the patience and the factor.

    Attributes:
        factor: Of the rate, float32 in (0, 1].
    """

    def __init__(self, config: PlateauConfig) -> None:
        super().__init__(name="plateau")
        self._config = config
        self.factor = tf.Variable(1.0, trainable=False, name="factor", aggregation=_FIRST_REPLICA)
        self.best = tf.Variable(math.nan, dtype=tf.float64, trainable=False, name="best", aggregation=_FIRST_REPLICA)
        self.waited = tf.Variable(0, dtype=tf.int64, trainable=False, name="waited", aggregation=_FIRST_REPLICA)

    def end_epoch(self, evaluation: Metrics) -> None:
        """Updates the factor by an epoch's metrics.

        Raises:
            ValueError: If the configured metric is not among them.
        """
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

    With w warm-up steps of n, the rate after s steps is peak * min((s + 1) / (w + 1), f((s - w) / (n - w))), where f is
    1 - x (linear), (1 + cos(pi x)) / 2 (cosine), final_share^x (exponential), 1, or the factor of `Plateau`.
    Of tf_keras' schedules CosineDecay alone has a warm-up, and none follows a metric.

    Args:
        config: The warm-up and the schedule.
        steps: n, of the whole training.
        peak: The rate after the warm-up. None: the configured one.
        plateau: For the schedule of this name.
        begin: The optimizer's count of steps before the first of the training.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        steps: int,
        peak: float | None = None,
        plateau: Plateau | None = None,
        begin: int = 0,
    ) -> None:
        self._config = config
        self._begin = begin
        self._steps = steps
        self._peak = peak or config.learning_rate
        self._plateau = plateau

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Computes the rate after `step` steps of the optimizer: float32 scalar."""
        step = tf.cast(step - self._begin, tf.float32)
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
        """Returns the arguments, for Keras."""
        return {"config": self._config.model_dump(), "steps": self._steps, "peak": self._peak, "begin": self._begin}


class CompositeOptimizer(tfrs.experimental.optimizers.CompositeOptimizer):
    """TFRS's composite optimizer, with all gradients clipped together.

    Each part by itself would clip by its own part's norm, and change the direction of the step.

    Args:
        parts: Optimizers that do not clip, with the variables of each.
        clip_norm: The largest norm of all gradients.
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


def updates_rows(config: OptimizerConfig, variables: Iterable[tf.Variable], reads_whole_catalogue: bool) -> bool:
    """Returns whether a step updates only the touched rows of embedding tables (`training.optimizer.lazy`).

    Args:
        config: Of the optimizer.
        variables: All that it trains.
        reads_whole_catalogue: Whether every step embeds every item.
    """
    rows = max((v.shape[0] for v in variables if is_embedding(v)), default=0)
    return config.updates_rows(reads_whole_catalogue, rows)


def make_optimizer(
    config: OptimizerConfig,
    steps: int,
    variables: Sequence[tf.Variable],
    plateau: Plateau | None = None,
    is_lazy: bool = False,
    begin: int = 0,
) -> Optimizer:
    """Makes the configured optimizer with its slots.

    Args:
        config: The rules, the schedule, weight decay and clipping.
        steps: Of the whole training.
        variables: All that it trains.
        plateau: For the schedule of this name.
        is_lazy: Whether sparse gradients update the touched rows only.
        begin: See `WarmupSchedule`.
    """
    if config.embeddings is None and not config.dense_weight_decay:
        rate = WarmupSchedule(config, steps, plateau=plateau, begin=begin)
        optimizer = _rule(config, rate, config.weight_decay, config.clip_norm, is_lazy)
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if not is_embedding(v)])
        optimizer.build(variables)
        return optimizer
    tables = [v for v in variables if is_embedding(v)]
    others = [v for v in variables if not is_embedding(v)]
    own = config.embeddings or config
    rate = WarmupSchedule(config, steps, plateau=plateau, begin=begin)
    dense = _rule(config, rate, config.dense_weight_decay, is_lazy=is_lazy)
    dense.exclude_from_weight_decay(var_list=[v for v in others if v.shape.rank < 2])
    rate = WarmupSchedule(config, steps, own.learning_rate, plateau, begin)
    embeddings = _rule(own, rate, config.weight_decay, is_lazy=is_lazy)
    return CompositeOptimizer([(dense, others), (embeddings, tables)], config.clip_norm)


def learning_rates(optimizer: Optimizer) -> dict[str, float]:
    """Returns the rates of the last step by name."""
    if not isinstance(optimizer, CompositeOptimizer):
        return {"learning_rate": float(optimizer.learning_rate.numpy())}
    dense, embeddings = (float(part.learning_rate.numpy()) for part in optimizer.optimizers)
    return {"learning_rate": dense, "learning_rate/embeddings": embeddings}


def parts_of(optimizer: Optimizer) -> list[tf.keras.optimizers.Optimizer]:
    """Returns the optimizers that it is composed of, or itself."""
    return list(optimizer.optimizers) if isinstance(optimizer, CompositeOptimizer) else [optimizer]


def slots_of(optimizer: Optimizer, variable: tf.Variable) -> dict[str, tf.Variable]:
    """Returns a variable's moments, momentum or accumulator, by name; each has the variable's shape.

    The decay that lazy updates have to catch up is no slot: each training begins to count it anew.
    """
    found: dict[str, tf.Variable] = {}
    for part in parts_of(optimizer):
        index = part._index_dict.get(part._var_key(variable))
        if index is not None:
            lists = {name: getattr(part, attribute, None) for name, attribute in _SLOTS.items()}
            found |= {name: slots[index] for name, slots in lists.items() if slots and slots[index] is not None}
    return found


def is_embedding(variable: tf.Variable) -> bool:
    """Returns whether a variable is an embedding table."""
    return "embeddings" in variable.name


def _rule(
    rule: UpdateRule, rate: WarmupSchedule, weight_decay: float, clip_norm: float | None = None, is_lazy: bool = False
) -> tf.keras.optimizers.Optimizer:
    keras = tf.keras.optimizers
    if is_lazy and rule.name in ("adamw", "adam"):
        decay = weight_decay if rule.name == "adamw" else 0.0
        # The number of rows changes with every step: XLA would compile every step anew.
        return LazyAdamW(rate, weight_decay=decay, global_clipnorm=clip_norm, jit_compile=False)
    if rule.name == "adamw":
        return keras.AdamW(rate, weight_decay=weight_decay, global_clipnorm=clip_norm)
    if rule.name == "sgd":
        make = LazySGD if is_lazy else keras.SGD
        return make(rate, rule.momentum, rule.nesterov, global_clipnorm=clip_norm, jit_compile=not is_lazy)
    makers = {"adam": keras.Adam, "adagrad": keras.Adagrad}
    return makers[rule.name](rate, global_clipnorm=clip_norm)
