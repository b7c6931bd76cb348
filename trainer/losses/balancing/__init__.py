"""How the tasks' losses are weighted against each other."""

import tensorflow as tf

from config import Config
from trainer.distributed.randomness import Randomness
from trainer.losses.balancing.base import Balancing
from trainer.losses.balancing.dwa import DynamicWeightAverage
from trainer.losses.balancing.gradnorm import GradNorm
from trainer.losses.balancing.pcgrad import GradientSurgery
from trainer.losses.balancing.uncertainty import UncertaintyWeighting

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
