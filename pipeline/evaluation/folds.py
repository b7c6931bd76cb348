"""A metric as a fold over batches of rows, in TFMA's form."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

Outputs = dict[str, np.ndarray]
"""Of the model by name, [N, ...] each."""


class Fold(Protocol):
    """A metric as a fold over batches of rows."""

    def start(self) -> Any:
        """An empty state."""

    def add(self, state: Any, rows: Any) -> Any:
        """The state with a batch of rows."""

    def merge(self, states: Iterable[Any]) -> Any:
        """One state of several."""

    def read(self, state: Any) -> dict[str, float]:
        """The metrics by name."""


def computation(fold: Fold, rows: Callable[..., Any], name: str, model: str, task: str = "") -> Any:
    """The TFMA metric of a fold.

    Args:
      fold: Over batches of what `rows` gives.
      rows: Picks of a batch's outputs and labels what the fold reads; the third argument is the task.
      name: The metric's name in the configuration.
      model, task: The names of both.
    """
    names = list(fold.read(fold.start()))
    return tfma.metrics.MetricComputation(
        keys=[key_of(metric, model, task) for metric in names],
        preprocessors=[_Rows(rows, f"{name}:{model}:{task}", model, task)],
        combiner=_FoldFn(fold, model, task),
    )


def key_of(metric: str, model: str, task: str) -> Any:
    """Neither weighted nor unweighted (None): so TFMA finds the thresholds of a metrics spec by name."""
    return tfma.metrics.MetricKey(name=metric, model_name=model, output_name=task, example_weighted=None)


class _Rows(tfma.metrics.Preprocessor):
    """Picks of the model's outputs and labels what a metric needs."""

    def __init__(self, rows: Callable[..., Any], name: str, model: str, task: str):
        super().__init__(name=name)
        self._rows, self._model, self._task = rows, model, task

    def process(self, extracts: dict[str, Any]) -> Iterator[Any]:
        outputs = extracts[tfma.PREDICTIONS_KEY]
        labels = extracts.get(tfma.constants.TRANSFORMED_FEATURES_KEY, {})
        yield self._rows(outputs.get(self._model, outputs), labels.get(self._model, labels), self._task)


class _FoldFn(beam.CombineFn):
    def __init__(self, fold: Fold, model: str, task: str):
        self._fold, self._model, self._task = fold, model, task

    def create_accumulator(self) -> Any:
        return self._fold.start()

    def add_input(self, accumulator: Any, element: Any) -> Any:
        return self._fold.add(accumulator, element)

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return self._fold.merge(accumulators)

    def extract_output(self, accumulator: Any) -> dict[Any, float]:
        return {key_of(name, self._model, self._task): value for name, value in self._fold.read(accumulator).items()}
