"""The labels of the train log, and the bias terms mu + b_u + b_i that are fitted to them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from config import feature_names
from trainer.data.dataset import WindowData
from trainer.data.windows import MASK, WindowSpec

_READ_BATCH: Final = 256
_ROUNDS: Final = 30
_INITIAL_SHRINKAGE: Final = 5.0


class TrainLabels(NamedTuple):
    """A task's labelled train events of known users and items, as aligned arrays of length E.

    Attributes:
        user: int64 [E] in [0, U).
        item: int64 [E] in [0, V).
        label: float64 [E], in the task's own unit.
        outcomes: int64 [E] by outcome feature, the events' categories.
        positives: int64 [P, 2], user and item of all positive events, labelled or not.
    """

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.float64]
    outcomes: Mapping[str, NDArray[np.int64]]
    positives: NDArray[np.int64]

    def to_matrix(self, values: NDArray[np.float64], users: int, items: int) -> sp.csr_matrix:
        """Arranges a value per event by user and item, and averages the values of a repeated pair.

        With the users [0, 0, 1], the items [3, 3, 2] and the values [1, 4, 7], the matrix holds 2.5 at [0, 3] and 7 at
        [1, 2].

        Args:
            values: float [E].
            users: U.
            items: V.

        Returns:
            float32 [U, V]. Cells without a label are not stored.
        """
        pairs, position = np.unique(self.user * items + self.item, return_inverse=True)
        means = np.bincount(position, values) / np.maximum(np.bincount(position), 1)
        return sp.csr_matrix((means.astype(np.float32), (pairs // items, pairs % items)), shape=(users, items))

    def interactions(self, users: int, items: int) -> sp.csr_matrix:
        """Counts the positive events of each user and item: float32 [U, V]."""
        ones = np.ones(len(self.positives), np.float32)
        return sp.csr_matrix((ones, tuple(self.positives.T)), shape=(users, items))


def read_labels(
    data: WindowData, tasks: Sequence[str], outcomes: Sequence[str], spec: WindowSpec
) -> dict[str, TrainLabels]:
    """Reads the labels of tasks in one pass over the train windows, in which every event is a target exactly once.

    Args:
        data: The train split. It is not read without tasks.
        tasks: Names of tasks with labels.
        outcomes: Names of categorical outcome features.
        spec: The numbers of known users and items.

    Returns:
        The labels by task.
    """
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
        categories = [window[name].numpy() for name in outcomes]
        for task in tasks:
            is_labelled = is_target & (window[feature_names.weight(task)] > 0).numpy()
            columns = user, item, window[feature_names.label(task)].numpy(), *categories
            read[task].append(tuple(column[is_labelled] for column in columns))
    pairs = np.concatenate(positives)
    labels = {}
    for task, batches in read.items():
        user, item, label, *others = (np.concatenate(columns) for columns in zip(*batches, strict=True))
        categories_of = dict(zip(outcomes, others, strict=True))
        labels[task] = TrainLabels(user, item, label.astype(np.float64), categories_of, pairs)
    return labels


class BiasTerms(NamedTuple):
    """The baseline predictor mu + b_u + b_i of a label (Koren, "Factor in the neighbors", 2010, section 2.1).

    Attributes:
        mean: mu, the mean of all labels.
        user: b_u, float64 [U + 1], 0 for users without labels and for the unknown user U.
        item: b_i, float64 [V + 1], likewise for items.
    """

    mean: float
    user: NDArray[np.float64]
    item: NDArray[np.float64]

    def predict(self, user: NDArray[np.int64], item: NDArray[np.int64]) -> NDArray[np.float64]:
        """Computes mu + b_u + b_i for users [E] in [0, U] and items [E] in [0, V]: float64 [E]."""
        return self.mean + self.user[user] + self.item[item]


def fit_bias_terms(labels: TrainLabels, users: int, items: int, attributes: Iterable[sp.csr_matrix] = ()) -> BiasTerms:
    """Fits bias terms by shrunk least squares, as random effects of users, items and the items' attribute values.

    Minimises sum (r_ui - mu - b_u - b_i)^2 + l_U sum b_u^2 + l_I sum o_i^2 + sum_A l_A sum a_c^2 by coordinate descent,
    where b_i = o_i + sum_c x_ic a_c is an item's own term plus those of its attribute values, so that an item with few
    labels is expected to be like others of its author. Each shrinkage l = noise / variance is estimated too, by
    expectation maximisation: the terms of a group are normal with a variance of their own, and a term with n labels is
    shrunk by the factor n / (n + l).

    Args:
        labels: The labels of the train log, not empty.
        users: U.
        items: V.
        attributes: x of each attribute, float [V + 1, C]; rows have length 1, or 0 where an item has no value.
    """
    mean = float(labels.label.mean())
    shares = [matrix.tocsr() for matrix in attributes]
    values = [_RandomEffects(matrix[labels.item]) for matrix in shares]
    user, item = _RandomEffects(_indicators(labels.user, users)), _RandomEffects(_indicators(labels.item, items))
    groups = [*values, item, user]
    residual = labels.label - mean
    for _ in range(_ROUNDS):
        for group in groups:
            residual += group.contribution
            group.fit(residual)
            residual -= group.contribution
        freedom = max(len(residual) - sum(group.effective_parameters for group in groups), 1.0)
        noise = max(float((residual**2).sum()) / freedom, 1e-9)
        for group in groups:
            group.update_shrinkage(noise)
    of_values = sum((matrix @ group.effect for matrix, group in zip(shares, values, strict=True)), np.zeros(items + 1))
    return BiasTerms(mean, np.append(user.effect, 0.0), np.append(item.effect, 0.0) + of_values)


def _indicators(group: NDArray[np.int64], size: int) -> sp.csr_matrix:
    """Builds the design matrix of one term per group: float [E, size], 1 in the column of each event's group."""
    return sp.csr_matrix((np.ones(len(group)), group, np.arange(len(group) + 1)), shape=(len(group), size))


class _RandomEffects:
    """C effects of one kind, normal around 0 with a common variance; `shrinkage` is the noise divided by it.

    Args:
        design: float [E, C], the coefficient of each effect in each label.

    Attributes:
        effect: float64 [C].
        contribution: float64 [E], design @ effect.
    """

    def __init__(self, design: sp.csr_matrix) -> None:
        self._design = design
        self._count = np.asarray(design.power(2).sum(axis=0)).ravel()
        # Several effects in one label would each explain its whole residual: the step divides it among them.
        self._step = 1 / np.diff(design.indptr).max(initial=1)
        self.shrinkage = _INITIAL_SHRINKAGE
        self.effect = np.zeros(design.shape[1])
        self.contribution = np.zeros(design.shape[0])

    @property
    def effective_parameters(self) -> float:
        """The effective number of free parameters, sum n / (n + shrinkage)."""
        return float((self._count / (self._count + self.shrinkage)).sum())

    def fit(self, residual: NDArray[np.float64]) -> None:
        """Takes a step towards the shrunk least squares fit of residuals [E]; one step is exact without overlaps."""
        slope = self._design.T @ (residual - self.contribution) - self.shrinkage * self.effect
        self.effect += self._step * slope / (self._count + self.shrinkage)
        self.contribution = self._design @ self.effect

    def update_shrinkage(self, noise: float) -> None:
        """Re-estimates the effects' variance by their posterior second moments: mean square plus variance."""
        is_observed = self._count > 0
        moments = self.effect**2 + noise / (self._count + self.shrinkage)
        self.shrinkage = noise / max(float(moments[is_observed].mean()), 1e-9) if is_observed.any() else 1.0
