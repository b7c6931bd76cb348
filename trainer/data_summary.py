"""What training needs to know of its data beforehand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.tasks import LabelStatistics


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
