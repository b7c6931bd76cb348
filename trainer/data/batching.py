"""How the windows of an epoch are divided into global batches."""

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
    """A task's labels in the training data, where its weight is positive.

    Attributes:
        mean, deviation: weighted. Regression learns (label - mean) / deviation, so that its loss and gradients have
            the same size whatever the label's unit; listwise tasks divide labels by the deviation.
    """

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True)
class DataSummary:
    """The sizes and labels of a set of windows.

    Attributes:
        windows_of_length: int64 [L + 1], the number of windows of 0, 1, ... L events.
        targets_of_length: int64 [L + 1], the events to learn from in the windows of each length.
        labels: by ranking task.
    """

    windows_of_length: NDArray[np.int64]
    targets_of_length: NDArray[np.int64]
    labels: Mapping[str, LabelStatistics]

    @property
    def windows(self) -> int:
        """The number of windows."""
        return int(self.windows_of_length.sum())

    @property
    def targets(self) -> int:
        """The number of events to learn from."""
        return int(self.targets_of_length.sum())


_EVENTS: Final = 800
_FEWEST, _MOST = 16, 1024
_EPOCHS, _FEWEST_EPOCHS, _STEPS = 16, 5, 10_000
_BATCHES: Final = 100
"""An epoch has so many, where that takes no batches of fewer than `_FEWEST` windows."""


@dataclass(frozen=True)
class BatchPlan:
    """Windows of like length are batched together, so that little of a batch is padding.

    Attributes:
        bounds: rising lengths that divide the groups; a group's windows are shorter than its bound. The last has none.
        sizes: the windows in a batch of each group.
        steps: the batches of an epoch; the last one of each group may be smaller.
        windows: of an epoch.
    """

    bounds: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: int
    windows: int

    @property
    def epochs(self) -> int:
        """How many epochs a training has where it is not configured."""
        return min(_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(_STEPS / max(self.steps, 1))))

    @classmethod
    def mixed(cls, size: int, windows: int) -> "BatchPlan":
        """One group: batches of so many windows of all lengths."""
        return cls((), (size,), math.ceil(windows / size), windows)


def plan_batches(training: TrainingConfig, summary: DataSummary, replicas: int) -> BatchPlan:
    """What is configured, or else groups of like length whose batches hold about `_EVENTS` targets each.

    So a step has as much to learn from where users have few events as where they have many, and a short history is not
    padded to a long one's length.

    Args:
        training: the configuration.
        summary: of the data.
        replicas: that share a batch evenly.
    """
    if training.batch_size is not None:
        return BatchPlan.mixed(training.batch_size, summary.windows)
    bounds = tuple(_split_times(summary, replicas))
    groups = list(pairwise([0, *bounds, len(summary.windows_of_length)]))
    sizes = tuple(_size(summary, start, end, replicas) for start, end in groups)
    counts = (int(summary.windows_of_length[start:end].sum()) for start, end in groups)
    steps = sum(math.ceil(count / size) for count, size in zip(counts, sizes, strict=True))
    return BatchPlan(bounds, sizes, steps, summary.windows)


def _split_times(summary: DataSummary, replicas: int) -> Iterator[int]:
    """Powers of two, where the windows on both sides fill a batch."""
    windows, start = summary.windows_of_length, 0
    for power in range(2, len(windows).bit_length()):
        end = 1 << power
        sides = ((start, end), (end, len(windows)))
        if all(windows[a:b].sum() >= _size(summary, a, b, replicas) for a, b in sides):
            yield end
            start = end


def _size(summary: DataSummary, start: int, end: int, replicas: int) -> int:
    """Of the batches of windows that are `start` long at least, and shorter than `end`."""
    windows, targets = (int(a[start:end].sum()) for a in (summary.windows_of_length, summary.targets_of_length))
    events = min(_EVENTS, summary.targets // _BATCHES)
    size = max(min(events * windows // max(targets, 1), _MOST), _FEWEST)
    return math.ceil(size / replicas) * replicas
