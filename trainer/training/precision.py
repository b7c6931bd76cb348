"""Mixed precision: training in 16 bits where the device supports it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from absl import logging

from config.training import Precision
from trainer.distributed.collectives import global_sum
from trainer.losses.balancing.gradients import Gradient

_GPU_REWRITE, _CPU_REWRITE = "auto_mixed_precision", "auto_mixed_precision_onednn_bfloat16"
_TENSOR_CORES = (7, 0)
_FIRST_SCALE, _GROWTH_STEPS = 2.0**15, 2000
_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


def rewrite_of(precision: Precision) -> str | None:
    """Returns the option of TensorFlow's graph optimizer; None for float32, or where no device here supports it.

    Matrix products and operations between them run in 16 bits, sums, softmaxes and weights stay in 32 (Micikevicius et
    al., "Mixed Precision Training", 2018). Only the training step is rewritten: the weights, and the exported graph,
    are those of float32.
    """
    if precision == "float32":
        return None
    found = _gpu_rewrite(precision) if tf.config.list_physical_devices("GPU") else _cpu_rewrite(precision)
    if found is None:
        logging.warning(
            "`training.precision` is %s, which no device here computes in: training goes on in float32. It needs %s.",
            precision,
            "a GPU of compute capability 7.0" if precision == "mixed_float16" else "a CPU with AVX512-BF16 or AMX",
        )
    return found


@contextmanager
def rewritten(rewrite: str | None) -> Iterator[None]:
    """Rewrites functions that are first called inside; restores the option afterwards."""
    if rewrite is None:
        yield
        return
    before = bool(tf.config.optimizer.get_experimental_options().get(rewrite, False))
    tf.config.optimizer.set_experimental_options({rewrite: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({rewrite: before})


class LossScale(tf.Module):
    """Dynamic loss scaling, which keeps small gradients from underflowing in float16 (Micikevicius et al., 2018).

    Losses are multiplied by a factor and gradients divided by it. If one is not finite, the step is made with gradients
    of zero and the factor is halved; after 2000 steps without that it is doubled.

    tf.keras.mixed_precision.LossScaleOptimizer skips such a step altogether, and has different classes, with different
    state, for Keras' optimizers and for legacy ones such as TFRS's composite.
    """

    def __init__(self) -> None:
        super().__init__(name="loss_scale")
        self.factor = tf.Variable(_FIRST_SCALE, trainable=False, name="factor", aggregation=_FIRST_REPLICA)
        self.good_steps = tf.Variable(0, trainable=False, name="good_steps", aggregation=_FIRST_REPLICA)

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Returns the scaled loss."""
        return loss * self.factor

    def unscaled(self, gradients: Sequence[Gradient]) -> list[Gradient]:
        """Returns the unscaled gradients, zeros if one is not finite on any replica; called once a step."""
        values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients if g is not None]
        broken = [tf.math.count_nonzero(~tf.math.is_finite(v), dtype=tf.float32) for v in values]
        is_finite = global_sum(tf.add_n(broken)) == 0
        factor = self.factor.read_value()
        self._step(factor, is_finite)
        return [_divided(g, factor, is_finite) for g in gradients]

    def _step(self, factor: tf.Tensor, is_finite: tf.Tensor) -> None:
        good = tf.where(is_finite, self.good_steps + 1, 0)
        grows = good >= _GROWTH_STEPS
        self.factor.assign(tf.where(is_finite, tf.where(grows, factor * 2, factor), tf.maximum(factor / 2, 1)))
        self.good_steps.assign(tf.where(grows, 0, good))


def _divided(gradient: Gradient, factor: tf.Tensor, is_finite: tf.Tensor) -> Gradient:
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        values = _divided(gradient.values, factor, is_finite)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return tf.where(is_finite, gradient / factor, tf.zeros_like(gradient))


def _gpu_rewrite(precision: Precision) -> str | None:
    devices = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    has_cores = all(details.get("compute_capability", (0, 0)) >= _TENSOR_CORES for details in devices)
    return _GPU_REWRITE if precision == "mixed_float16" and has_cores else None


def _cpu_rewrite(precision: Precision) -> str | None:
    info = Path("/proc/cpuinfo")
    flags = info.read_text() if info.exists() else ""
    has_bfloat16 = "avx512_bf16" in flags or "amx_bf16" in flags
    return _CPU_REWRITE if precision == "mixed_bfloat16" and has_bfloat16 else None
