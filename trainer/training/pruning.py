"""Magnitude pruning of dense layers during training."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config.training import PruningConfig


class Pruning(tf.Module):
    """Masks of the kernels, which grow by a schedule and are applied after every step.

    Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression" (2017): between
    the start t0 and the end t1 the sparsity after step t is s (1 - (1 - (t - t0) / (t1 - t0))^3). A mask sets the
    smallest magnitudes to zero; zeros are the smallest, so a pruned weight remains zero.

    Args:
        config: The schedule.
        steps: Of the whole training.
        variables: All that is trained.
        strategy: Of the variables; the masks are on the same devices.
    """

    def __init__(
        self,
        config: PruningConfig,
        steps: int,
        variables: Sequence[tf.Variable],
        strategy: tf.distribute.Strategy,
    ) -> None:
        super().__init__(name="pruning")
        self._config = config
        self._start, self._end = int(config.start * steps), int(config.end * steps)
        self._strategy = strategy
        self._kernels = prunable(variables)
        with strategy.scope():
            self.masks = [tf.Variable(tf.ones(k.shape), trainable=False, name="mask") for k in self._kernels]

    def is_due(self, step: int) -> bool:
        """Returns whether the masks grow before the step (counted from 0)."""
        is_turn = (step - self._start) % self._config.every_steps == 0
        return self._start <= step <= self._end and (is_turn or step == self._end)

    def sparsity(self, step: int) -> float:
        """Returns the share of each kernel that is zero from the step on."""
        done = min(max(step - self._start, 0) / max(self._end - self._start, 1), 1.0)
        return self._config.sparsity * (1 - (1 - done) ** 3)

    def refresh(self, step: int) -> None:
        """Grows the masks when the step is due; called between two steps."""
        if not self.is_due(step):
            return
        for kernel, mask in zip(self._kernels, self.masks, strict=True):
            mask.assign(magnitude_mask(kernel.read_value().numpy(), self.sparsity(step)))
        self.apply()

    def apply(self) -> None:
        """Multiplies the kernels by the masks; called in the cross-replica context."""
        for kernel, mask in zip(self._kernels, self.masks, strict=True):
            self._strategy.extended.update(kernel, _multiply, args=(mask,))

    def metrics(self) -> dict[str, float]:
        """Returns `sparsity`, the share of zeros in all kernels together."""
        kept = sum(float(tf.reduce_sum(mask.read_value())) for mask in self.masks)
        return {"sparsity": 1 - kept / max(sum(mask.shape.num_elements() for mask in self.masks), 1)}


def prunable(variables: Sequence[tf.Variable]) -> list[tf.Variable]:
    """Returns the kernels of the served dense layers: not the critic's, nor those with a single output."""
    kernels = [v for v in variables if v.name.rpartition("/")[2].startswith(("kernel", "recurrent_kernel"))]
    return [v for v in kernels if v.shape.rank == 2 and v.shape[-1] > 1 and "critic" not in v.name]


def magnitude_mask(weights: NDArray[np.float32], sparsity: float) -> NDArray[np.float32]:
    """Returns 0 for the share of the weights with the smallest magnitudes, else 1: float32 of the same shape."""
    count = round(sparsity * weights.size)
    mask = np.ones(weights.size, np.float32)
    mask[np.argsort(np.abs(weights), axis=None, kind="stable")[:count]] = 0
    return mask.reshape(weights.shape)


def _multiply(kernel: tf.Variable, mask: tf.Variable) -> None:
    kernel.assign(kernel * mask)
