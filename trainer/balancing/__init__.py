"""How the tasks' losses are weighed against each other."""

import tensorflow as tf

from pipeline.config import Config
from trainer.balancing.base import Balancing
from trainer.balancing.dwa import DynamicWeightAverage
from trainer.balancing.gradnorm import GradNorm
from trainer.balancing.pcgrad import GradientSurgery
from trainer.balancing.uncertainty import UncertaintyWeighting
from trainer.randomness import Randomness

__all__ = ["Balancing", "make_balancing"]


def make_balancing(config: Config, last_shared: tf.keras.layers.Layer, randomness: Randomness) -> Balancing:
    """The configured method.

    Args:
        config: the tasks and the method.
        last_shared: the last layer that all tasks share, where `gradnorm` measures.
        randomness: of the order in which `pcgrad` projects.
    """
    method = config.training.balancing.method
    if method == "uncertainty":
        return UncertaintyWeighting(config.tasks)
    if method == "gradnorm":
        return GradNorm(config.tasks, config.training.balancing, last_shared)
    if method == "pcgrad":
        return GradientSurgery(config.tasks, randomness)
    if method == "dwa":
        return DynamicWeightAverage(config.tasks, config.training.balancing.temperature)
    return Balancing(config.tasks)
