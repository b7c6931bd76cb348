"""What the model learns to predict."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.base import Section


class Task(Section):
    """What every task has."""

    weight: float = Field(default=1.0, ge=0)
    """The factor of the task's loss, a mean over the global batch."""


class RetrievalTask(Task):
    """Finds the next item in the whole catalogue: a softmax at every position of the window."""

    kind: Literal["retrieval"]
    negatives: Literal["full", "sampled"] = "full"
    """`full`: the softmax runs over the catalogue. `sampled`: over `samples` items drawn by train frequency,
    corrected by the logarithm of their sampling probability (logQ)."""
    samples: int = Field(default=512, gt=0)
    temperature: float = Field(default=0.07, gt=0)
    """The start of the learned temperature by which cosines are divided."""
    next_events: int = Field(default=5, ge=1)
    """The target is spread over the next so many positives, weighed by 1 / gap."""
    mask_history: bool = True
    """Items already in the history are no negatives (set false where users come back to items)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)


class LabelledTask(Task):
    """A task with a label on the event. Events whose label is missing or that `where` excludes have no loss."""

    label: str
    """An expression over the columns of the interactions: `rating`, `rating >= 4`, `kind == 'click'`."""
    where: str | None = None
    """An expression; the task sees only events where it holds."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the head's layers."""


class BinaryTask(LabelledTask):
    """The probability of a yes: click, like, purchase."""

    kind: Literal["binary"]


class RegressionTask(LabelledTask):
    """A number: a rating, a dwell time. Mean squared error."""

    kind: Literal["regression"]
    min: float | None = None
    max: float | None = None
    """Predictions are clipped to [min, max] outside training."""


AnyTask = Annotated[RetrievalTask | BinaryTask | RegressionTask, Field(discriminator="kind")]
