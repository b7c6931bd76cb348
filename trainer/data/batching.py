"""The division of an epoch's windows into global batches."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.training import TrainingConfig


@dataclass(frozen=True)
class LabelStatistics:
    """The weighted mean and standard deviation of a task's labels in the training data.

    Regression learns (label - mean) / deviation, so that its loss and gradients have the same size whatever the label's
    unit; listwise tasks divide labels by the deviation.
    """

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of_sums(cls, weight: float, total: float, squares: float) -> "LabelStatistics":
        """Returns the statistics of labels from the sums of weights, weighted labels and weighted squared labels."""
        if weight == 0:
            return cls()
        mean = total / weight
        variance = max(squares / weight - mean**2, 0.0)
        return cls(mean, variance**0.5 or 1.0)


@dataclass(frozen=True)
class DataSummary:
    """The sizes and labels of a set of windows.

    Attributes:
        windows_of_length: int64 [L + 1], the number of windows of 0, 1, ... L events.
        targets_of_length: int64 [L + 1], the number of targets in the windows of each length.
        labels: by ranking task.
    """

    windows_of_length: NDArray[np.int64]
    targets_of_length: NDArray[np.int64]
    labels: Mapping[str, LabelStatistics]

    @property
    def windows(self) -> int:
        """Returns the number of windows."""
        return int(self.windows_of_length.sum())

    @property
    def targets(self) -> int:
        """Returns the number of targets: events to learn from."""
        return int(self.targets_of_length.sum())


_TARGETS: Final = 800
"""Targets in a batch."""
_MIN_WINDOWS, _MAX_WINDOWS = 16, 1024
_MIN_EPOCHS, _MAX_EPOCHS, _STEPS = 5, 16, 10_000
_MIN_BATCHES: Final = 100
"""An epoch has at least so many batches, unless these would have fewer than `_MIN_WINDOWS` windows."""


@dataclass(frozen=True)
class BatchPlan:
    """Batches of windows of similar length, so that little of a batch is padding.

    For example, the bounds (4, 8) with the sizes (320, 133, 16) put windows of up to 3 events into batches of 320,
    those of 4 to 7 events into batches of 133, and longer ones into batches of 16.

    Attributes:
        bounds: ascending lengths; the windows of a group are shorter than its bound, and the last group has none.
        sizes: the number of windows in a batch of each group.
        steps: the number of batches of an epoch; the last one of each group may be smaller.
        windows: the number of windows of an epoch.
    """

    bounds: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: int
    windows: int

    @property
    def epochs(self) -> int:
        """Returns the number of epochs of a training that does not configure it."""
        return min(_MAX_EPOCHS, max(_MIN_EPOCHS, math.ceil(_STEPS / max(self.steps, 1))))

    @classmethod
    def mixed(cls, size: int, windows: int) -> "BatchPlan":
        """Returns a plan of one group: batches of `size` windows of any length."""
        return cls((), (size,), math.ceil(windows / size), windows)


def plan_batches(training: TrainingConfig, summary: DataSummary, replicas: int) -> BatchPlan:
    """Plans batches of the configured size, or else groups of similar length whose batches hold about 800 targets each.

    So a step learns from as many targets where users have few events as where they have many, and a short history is
    not padded to the length of a long one.

    Args:
        training: the configuration.
        summary: the sizes of the training data.
        replicas: the number of replicas that share a batch evenly.
    """
    if training.batch_size is not None:
        return BatchPlan.mixed(training.batch_size, summary.windows)
    bounds = tuple(_bounds(summary, replicas))
    groups = list(pairwise([0, *bounds, len(summary.windows_of_length)]))
    sizes = tuple(_size(summary, start, end, replicas) for start, end in groups)
    counts = (int(summary.windows_of_length[start:end].sum()) for start, end in groups)
    steps = sum(math.ceil(count / size) for count, size in zip(counts, sizes, strict=True))
    return BatchPlan(bounds, sizes, steps, summary.windows)


def _bounds(summary: DataSummary, replicas: int) -> Iterator[int]:
    """Yields the powers of two (from 4 on) with enough windows on both sides to fill a batch."""
    windows, start = summary.windows_of_length, 0
    for power in range(2, len(windows).bit_length()):
        end = 1 << power
        sides = ((start, end), (end, len(windows)))
        if all(windows[a:b].sum() >= _size(summary, a, b, replicas) for a, b in sides):
            yield end
            start = end


def _size(summary: DataSummary, start: int, end: int, replicas: int) -> int:
    """Returns the batch size for windows of a length in [start, end)."""
    windows, targets = (int(a[start:end].sum()) for a in (summary.windows_of_length, summary.targets_of_length))
    wanted = min(_TARGETS, summary.targets // _MIN_BATCHES)
    size = max(min(wanted * windows // max(targets, 1), _MAX_WINDOWS), _MIN_WINDOWS)
    return math.ceil(size / replicas) * replicas
