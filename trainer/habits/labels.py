"""A task's labels in the train log as arrays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from pipeline import layout
from trainer.data import WindowData
from trainer.windows import MASK, WindowSpec

_READ_BATCH = 256


class TrainLabels(NamedTuple):
    """The labelled train events of known users and items: aligned arrays [E].

    Attributes:
        user: in [0, U).
        item: in [0, V).
        label: as configured.
        outcomes: the events' categories by outcome feature.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.float64]
    outcomes: Mapping[str, NDArray[np.int64]]

    def by_user(self, values: NDArray[np.float64], users: int, items: int) -> sp.csr_matrix:
        """A value for each event as float32 [U, V]: their mean where a user labelled an item more than once."""
        known, place = np.unique(self.user * items + self.item, return_inverse=True)
        means = np.bincount(place, values) / np.maximum(np.bincount(place), 1)
        pairs = known // items, known % items
        return sp.csr_matrix((means.astype(np.float32), pairs), shape=(users, items))


def read_labels(data: WindowData, task: str, outcomes: Sequence[str], spec: WindowSpec) -> TrainLabels:
    """Reads all train windows once; each event is a target in just one."""
    names = [layout.USER_ID, layout.ITEM_ID, layout.label(task), *outcomes]
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in names}
    for window in data.evaluation_batches(_READ_BATCH):
        is_target = window[MASK] & window[layout.IS_TARGET] & (window[layout.weight(task)] > 0)
        is_known = (window[layout.ITEM_ID] < spec.item_count) & (window[layout.USER_ID] < spec.user_count)[:, None]
        row, place = np.nonzero((is_target & is_known).numpy())
        columns[layout.USER_ID].append(window[layout.USER_ID].numpy()[row])
        for name in names[1:]:
            columns[name].append(window[name].numpy()[row, place])
    user, item, label, *others = (np.concatenate(columns[name]) for name in names)
    return TrainLabels(user, item, label.astype(np.float64), dict(zip(outcomes, others, strict=True)))
