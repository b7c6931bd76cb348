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
        positives: [P, 2], user and item of what was had, labelled or not.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.float64]
    outcomes: Mapping[str, NDArray[np.int64]]
    positives: NDArray[np.int64]

    def by_user(self, values: NDArray[np.float64], users: int, items: int) -> sp.csr_matrix:
        """A value for each event as float32 [U, V]: their mean where a user labelled an item more than once."""
        known, place = np.unique(self.user * items + self.item, return_inverse=True)
        means = np.bincount(place, values) / np.maximum(np.bincount(place), 1)
        pairs = known // items, known % items
        return sp.csr_matrix((means.astype(np.float32), pairs), shape=(users, items))

    def had(self, users: int, items: int) -> sp.csr_matrix:
        """How often a user had an item, float32 [U, V]."""
        ones = np.ones(len(self.positives), np.float32)
        return sp.csr_matrix((ones, tuple(self.positives.T)), shape=(users, items))


def read_labels(data: WindowData, task: str, outcomes: Sequence[str], spec: WindowSpec) -> TrainLabels:
    """Reads all train windows once; each event is a target in just one."""
    names = [layout.label(task), *outcomes]
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for name in ("positive", "labelled", *names)}
    for window in data.evaluation_batches(_READ_BATCH):
        user, item = np.broadcast_arrays(window[layout.USER_ID].numpy()[:, np.newaxis], window[layout.ITEM_ID].numpy())
        pair = np.stack([user, item], axis=-1)
        is_known = (item < spec.item_count) & (user < spec.user_count)
        is_target = (window[MASK] & window[layout.IS_TARGET]).numpy() & is_known
        is_labelled = is_target & (window[layout.weight(task)] > 0).numpy()
        columns["positive"].append(pair[is_target & window[layout.IS_POSITIVE].numpy()])
        columns["labelled"].append(pair[is_labelled])
        for name in names:
            columns[name].append(window[name].numpy()[is_labelled])
    positives, labelled, label, *others = (np.concatenate(values) for values in columns.values())
    categories = dict(zip(outcomes, others, strict=True))
    return TrainLabels(labelled[:, 0], labelled[:, 1], label.astype(np.float64), categories, positives)
