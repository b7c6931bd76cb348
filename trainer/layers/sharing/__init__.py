"""How tasks share the query's state: from one state at every position to the states that the tasks read."""

from config import Config
from trainer.layers.sharing.base import CrossStitch, HardSharing, Sharing
from trainer.layers.sharing.experts import MixtureOfExperts, ProgressiveExtraction

__all__ = ["Sharing", "make_sharing"]


def make_sharing(config: Config) -> Sharing:
    """Makes the configured method for the configured tasks."""
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
