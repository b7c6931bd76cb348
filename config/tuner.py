"""The search for hyperparameters."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from config.base import Section

_POWER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


class Parameter(Section):
    """The values that a key may take: `choices`, or all between `min` and `max`."""

    choices: tuple[bool | int | float | str, ...] = ()
    """The possible values, all of one type."""
    min: int | float | None = None
    """The lower end of a range."""
    max: int | float | None = None
    """The upper end of a range. If both ends are integers, integers are drawn."""
    scale: Literal["linear", "log"] = "linear"
    """The scale on which numbers between `min` and `max` are drawn uniformly."""

    @field_validator("choices", mode="before")
    @classmethod
    def _numbers(cls, values: Any) -> Any:
        """Reads numbers such as 1e-3, which are text in YAML."""
        if not isinstance(values, list | tuple):
            return values
        read = [float(v) if isinstance(v, str) and _POWER.fullmatch(v) else v for v in values]
        has_fraction = any(isinstance(value, float) for value in read)
        return [float(v) if has_fraction and type(v) is int else v for v in read]

    @model_validator(mode="after")
    def _choices_or_a_range(self) -> Self:
        has_range = self.min is not None and self.max is not None
        if bool(self.choices) == has_range or (self.min is None) != (self.max is None):
            raise ValueError("there should be either `choices` or both `min` and `max`")
        if len({type(choice) for choice in self.choices}) > 1:
            raise ValueError(f"`choices` should be of one type. Received: {list(self.choices)}")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"`min` should be below `max` ({self.max}). Received: {self.min}")
        if self.scale == "log" and self.min is not None and self.min <= 0:
            raise ValueError(f"`min` should be above 0 with the scale `log`. Received: {self.min}")
        return self

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The choices, or the ends of the range."""
        return self.choices or (self.min, self.max)


class TunerConfig(Section):
    """A search by KerasTuner in a component before the Trainer, which then trains with the best values."""

    parameters: dict[str, Parameter] = Field(min_length=1)
    """By dotted key of `model`, `tasks` or `training`, if only the Trainer reads it: `training.optimizer.learning_rate:
    {min: 0.001, max: 0.02, scale: log}`."""
    objective: str = "loss"
    """A metric of the eval split, as in `training.early_stopping.metric`. A loss only if no parameter changes its
    definition, as a task's weight does."""
    trials: int = Field(default=10, ge=1)
    """The number of trainings."""
    algorithm: Literal["random", "bayesian"] = "random"
    """`random` (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", 2012) or `bayesian`, with a
    Gaussian process (Snoek, Larochelle and Adams, "Practical Bayesian Optimization of Machine Learning Algorithms",
    2012)."""
    epochs: int | None = Field(default=None, gt=0)
    """The epochs of each trial. Defaults to those of `training`."""
    seed: int = 42
    """The seed of the search."""
