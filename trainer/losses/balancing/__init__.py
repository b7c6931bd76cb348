"""How the tasks' losses are balanced against each other."""

import tensorflow as tf

from config import Config
from trainer.distributed.randomness import Randomness
from trainer.losses.balancing.pcgrad import GradientSurgery
from trainer.losses.balancing.weights import Balancing, DynamicWeightAverage, GradNorm, UncertaintyWeighting

__all__ = ["Balancing", "make_balancing"]


def make_balancing(config: Config, last_shared: tf.keras.layers.Layer, randomness: Randomness) -> Balancing:
    """Makes the configured method.

    Args:
        config: The tasks and the method.
        last_shared: The last layer that all tasks share, where `gradnorm` measures.
        randomness: Of the order in which `pcgrad` projects.
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
