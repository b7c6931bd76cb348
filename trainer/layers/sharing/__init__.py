"""How tasks share what the model knows of a user: from one state at every position to the states the tasks read."""

from config import Config
from trainer.layers.sharing.base import HardSharing, Sharing
from trainer.layers.sharing.cross_stitch import CrossStitch
from trainer.layers.sharing.mmoe import MixtureOfExperts
from trainer.layers.sharing.ple import ProgressiveExtraction

__all__ = ["Sharing", "make_sharing"]


def make_sharing(config: Config) -> Sharing:
    """The configured method for the configured tasks."""
    tasks, sharing = tuple(config.tasks), config.model.sharing
    width = sharing.expert_width or config.model.dimension
    if sharing.method == "cross_stitch":
        return CrossStitch(tasks, sharing.levels, width, sharing.residual)
    if sharing.method == "mmoe":
        return MixtureOfExperts(tasks, sharing.experts, width, sharing.residual)
    if sharing.method == "ple":
        counts = (sharing.experts, sharing.task_experts, sharing.levels)
        return ProgressiveExtraction(tasks, *counts, width, sharing.residual)
    return HardSharing(tasks)
