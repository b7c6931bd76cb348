"""The model that a training starts from (`training.warm_start`)."""

import posixpath
from typing import Any

from config import Config, ConfigError
from config.load import changed_config
from trainer.training.kept_state import KeptState, has_state, rules

_COLD = "training starts from random weights"


class BaseModel:
    """The model that a training starts from.

    Args:
        config: Of the training.
        resolved: The SavedModel that TFX resolved, whose state lies beside it; None where it found none.

    Attributes:
        state: Of its training; None where the training starts cold.
        report: What it starts from, or why it starts cold, in sentences; none without `training.warm_start`.

    Raises:
        ConfigError: The configured model has no state.
        DamagedStateError: The state cannot be read.
    """

    def __init__(self, config: Config, resolved: str | None) -> None:
        self.state: KeptState | None = None
        self.report: tuple[str, ...] = ()
        settings = config.training.warm_start
        if settings is None:
            return
        folder = settings.model or (resolved and posixpath.dirname(resolved))
        if not folder:
            self.report = (f"no model that is older than this run's data was blessed yet: {_COLD}",)
        elif has_state(folder):
            self.state = KeptState(folder)
            self.report = (f"training starts from the weights of {folder}",)
        elif settings.model:
            raise ConfigError(
                "`training.warm_start.model` should be the folder of a model that was trained with `warm_start`. "
                f"Received: {folder!r}, which holds no Format-Training"
            )
        else:
            self.report = (f"the blessed model of {folder} was trained without `training.warm_start`: {_COLD}",)

    def moves_ids(self, config: Config) -> bool:
        """Returns whether users' and items' ids are those of the state's model (`training.warm_start.ids`)."""
        settings = config.training.warm_start
        if settings is not None and settings.ids is not None:
            return settings.ids
        return self.state is not None and self.state.name == config.name

    def changed(self, config: Config) -> Config:
        """Returns the configuration of a training that starts from the model: its epochs and learning rates.

        Moments that are known need no warm-up of the learning rate: it is for those of the first gradients.
        """
        settings, optimizer = config.training.warm_start, config.training.optimizer
        if self.state is None or settings is None:
            return config
        factor = settings.learning_rate_factor
        changes: dict[str, Any] = {"training.optimizer.learning_rate": factor * optimizer.learning_rate}
        if self.state.optimizer == rules(optimizer):
            changes["training.optimizer.warmup_steps"] = 0
        if settings.epochs is not None:
            changes["training.epochs"] = settings.epochs
        if optimizer.embeddings is not None:
            rate = factor * optimizer.embeddings.learning_rate
            changes["training.optimizer.embeddings.learning_rate"] = rate
        return changed_config(config, changes)
