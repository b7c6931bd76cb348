"""What an event's outcome tells of its label."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.stacking.labels import TrainLabels
from transform.features import ModelFeature

_TOLD = 0.95
"""The share of the labels' variance that an outcome has to explain."""


class OutcomeLabels(NamedTuple):
    """The labels that the categories of an outcome stand for.

    Attributes:
        feature: the outcome's name.
        label: float64 [C], the mean in train.
        is_known: bool [C], whether any was labelled.
    """

    feature: str
    label: NDArray[np.float64]
    is_known: NDArray[np.bool_]


def outcome_labels(labels: TrainLabels, features: Sequence[ModelFeature]) -> OutcomeLabels | None:
    """The outcome that tells the label best; None where none tells it well.

    Args:
        labels: with the categories of `features`.
        features: categorical outcomes.
    """
    spread = float(np.var(labels.label))
    found = [
        (_unexplained(labels, observed), observed) for observed in (_table(labels, feature) for feature in features)
    ]
    left, best = min(found, key=lambda pair: pair[0], default=(spread, None))
    return best if best is not None and left <= (1 - _TOLD) * spread else None


def _table(labels: TrainLabels, feature: ModelFeature) -> OutcomeLabels:
    size = feature.size or 0
    category = labels.outcomes[feature.name]
    count = np.bincount(category, minlength=size)
    return OutcomeLabels(feature.name, np.bincount(category, labels.label, size) / np.maximum(count, 1), count > 0)


def _unexplained(labels: TrainLabels, observed: OutcomeLabels) -> float:
    return float(np.mean((labels.label - observed.label[labels.outcomes[observed.feature]]) ** 2))
