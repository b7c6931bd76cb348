"""How tasks share what the model knows of a user: from one state at every position to the states the tasks read."""

from pipeline.config import Config
from trainer.sharing.base import Sharing
from trainer.sharing.hard import HardSharing

__all__ = ["Sharing", "make_sharing"]


def make_sharing(config: Config) -> Sharing:
    """The configured method for the configured tasks."""
    return HardSharing(tuple(config.tasks))
