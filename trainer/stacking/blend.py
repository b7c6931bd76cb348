"""A task's prediction by network and baseline together."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from config.tasks import NETWORK, PointwiseTask
from trainer.stacking.link import Link, link_of


@dataclass
class Blend:
    """The weighted sum of the parts, through the task's link.

    Attributes:
        link: from labels to sums.
        start: what the parts are added to: where the task's mean label is.
        weights: by part; those that are missing are left out. None: they are still to be chosen.
    """

    link: Link
    start: float
    weights: dict[str, float] | None = None

    @classmethod
    def of(cls, task: PointwiseTask, mean: float, weights: dict[str, float] | None) -> "Blend":
        """For a task whose labels have this mean."""
        link = link_of(task)
        return cls(link, float(link.of(tf.constant(mean, tf.float32))), weights)

    @property
    def counts(self) -> bool:
        """Whether it says anything but the network does."""
        return self.weights not in (None, {}, {NETWORK: 1.0})

    def with_network(self, network: tf.Tensor, parts: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The parts with what the network's prediction, float [B, N], adds to `start`."""
        return {NETWORK: self.link.of(network) - self.start, **parts}

    def prediction(self, network: tf.Tensor, parts: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The network's prediction float [B, N] and parts [B, N] or [B, 1] -> the prediction float [B, N]."""
        known = self.with_network(network, parts)
        total = tf.zeros_like(network) + self.start
        for name, weight in (self.weights or {}).items():
            total += weight * known[name] if weight else 0.0
        return self.link.answer(total)
