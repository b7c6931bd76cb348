"""The result of a training."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Metrics = dict[str, float]


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        epochs: The number of epochs.
        steps: Of the optimizer.
        train: Losses of the last epoch.
        evaluation: Metrics on the eval split, of the epoch whose weights the model holds.
        best_epoch: Counted from 1, 0 without early stopping.
        seconds: Of this process; a resumed run counts only its own.
        cpu_seconds: The processors' time of this process, likewise.
        weights: By task, the weights of the stacked parts that its scores are the sum of; none where the network's
            scores are used alone.
        left_out: By task, the configured parts that are left out, and why.
        warnings: Shown to the user; see `pipeline.messages`.
        errors: The standard errors, over users, of metrics in `evaluation`.
        sample: What `evaluation` was measured on, see `trainer.data.user_sample.Coverage`; empty without an eval split.
        choices: How the weights were chosen, in sentences.
        start: What training started from, and what started cold, in sentences; empty without `training.warm_start`.
    """

    epochs: int
    steps: int
    train: Metrics
    evaluation: Metrics
    best_epoch: int
    seconds: float
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    errors: Metrics = field(default_factory=dict)
    sample: Mapping[str, int] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
