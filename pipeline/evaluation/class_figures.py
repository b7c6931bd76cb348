"""The metrics of multiclass tasks. NumPy only.

- accuracy: the share of targets whose most probable class is one of their classes;
- log_loss: the cross-entropy with the target's classes, evenly weighed, natural logarithm, probabilities clipped at
  1e-7 from below.
"""

from collections.abc import Iterable

import numpy as np

from pipeline.evaluation.task_figures import EPSILON, Answers, Floats, ratio


class ClassFigures:
    """accuracy and log_loss of answers whose labels and predictions are [N, C]: the target's shares of the classes,
    and probabilities. The state is [weight, right answers, cross-entropy]."""

    def start(self) -> Floats:
        """The state of no rows."""
        return np.zeros(3)

    def add(self, state: Floats, answers: Answers) -> Floats:
        """Takes rows in."""
        label, prediction, weight = answers.counted()
        best = np.take_along_axis(label, prediction.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
        entropy = -(label * np.log(np.maximum(prediction, EPSILON))).sum(axis=1)
        return state + np.array([weight.sum(), weight @ (best > 0), weight @ entropy])

    def merge(self, states: Iterable[Floats]) -> Floats:
        """The state of all rows."""
        return np.sum(list(states), axis=0)

    def read(self, state: Floats) -> dict[str, float]:
        """The figures; NaN without rows."""
        weight, right, entropy = state
        return {"accuracy": ratio(right, weight), "log_loss": ratio(entropy, weight), "examples": float(weight)}
