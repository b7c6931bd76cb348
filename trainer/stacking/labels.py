"""The tasks' labels in the train log as arrays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from config import feature_names
from trainer.data.dataset import WindowData
from trainer.data.windows import MASK, WindowSpec

_READ_BATCH = 256


class TrainLabels(NamedTuple):
    """The labelled train events of known users and items: aligned arrays [E].

    Attributes:
        user: in [0, U).
        item: in [0, V).
        label: as configured.
        outcomes: the events' categories by outcome feature.
        positives: [P, 2], user and item of what was interactions, labelled or not.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.float64]
    outcomes: Mapping[str, NDArray[np.int64]]
    positives: NDArray[np.int64]

    def by_user(self, values: NDArray[np.float64], users: int, items: int) -> sp.csr_matrix:
        """A value for each event as float32 [U, V]: their mean where a user labelled an item more than once."""
        known, position = np.unique(self.user * items + self.item, return_inverse=True)
        means = np.bincount(position, values) / np.maximum(np.bincount(position), 1)
        pairs = known // items, known % items
        return sp.csr_matrix((means.astype(np.float32), pairs), shape=(users, items))

    def interactions(self, users: int, items: int) -> sp.csr_matrix:
        """How often a user interactions an item, float32 [U, V]."""
        ones = np.ones(len(self.positives), np.float32)
        return sp.csr_matrix((ones, tuple(self.positives.T)), shape=(users, items))


def read_labels(
    data: WindowData, tasks: Sequence[str], outcomes: Sequence[str], spec: WindowSpec
) -> dict[str, TrainLabels]:
    """The labels of each task. Reads all train windows once, none without tasks; each event is a target in just one."""
    if not tasks:
        return {}
    positives: list[NDArray[np.int64]] = []
    read: dict[str, list[tuple[NDArray[np.generic], ...]]] = {name: [] for name in tasks}
    for window in data.evaluation_batches(_READ_BATCH):
        user, item = np.broadcast_arrays(
            window[feature_names.USER_ID].numpy()[:, np.newaxis], window[feature_names.ITEM_ID].numpy()
        )
        is_known = (item < spec.item_count) & (user < spec.user_count)
        is_target = (window[MASK] & window[feature_names.IS_TARGET]).numpy() & is_known
        positives.append(np.stack([user, item], axis=-1)[is_target & window[feature_names.IS_POSITIVE].numpy()])
        for task in tasks:
            is_labelled = is_target & (window[feature_names.weight(task)] > 0).numpy()
            columns = (
                user,
                item,
                window[feature_names.label(task)].numpy(),
                *(window[name].numpy() for name in outcomes),
            )
            read[task].append(tuple(column[is_labelled] for column in columns))
    interactions = np.concatenate(positives)
    return {task: _labels(batches, outcomes, interactions) for task, batches in read.items()}


def _labels(
    batches: Sequence[tuple[NDArray[np.generic], ...]], outcomes: Sequence[str], interactions: NDArray[np.int64]
) -> TrainLabels:
    user, item, label, *others = (np.concatenate(columns) for columns in zip(*batches, strict=True))
    return TrainLabels(user, item, label.astype(np.float64), dict(zip(outcomes, others, strict=True)), interactions)
