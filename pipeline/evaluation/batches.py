"""TFMA on batches of rows: the extractors, and metrics as folds over arrays."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.reading import ReadBatches
from pipeline.evaluation.sample import UserSample
from pipeline.evaluation.small_slices import MergeSmallSlices


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """Returns the stages between reading and metrics; TFX's Evaluator calls this."""
    del tensor_adapter_config
    names = slicing_features(eval_config)
    extractors = tfma.extractors
    labels = [extractors.TransformedFeaturesExtractor(eval_config, eval_shared_model)]
    steps = [UserSample.of(eval_config), MergeSmallSlices.of(eval_config)]
    return [
        extractors.Extractor("ReadBatches", ReadBatches(names, steps)),
        *(labels if eval_config.model_specs[0].preprocessing_function_names else []),
        extractors.PredictionsExtractor(eval_config, eval_shared_model),
        extractors.Extractor("GroupRows", beam.FlatMap(group_rows)),
        extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]


def slicing_features(eval_config: Any) -> list[str]:
    """Returns the features that the slicing specs name, sorted."""
    return sorted({name for spec in eval_config.slicing_specs for name in spec.feature_keys})


def group_rows(extracts: dict[str, Any]) -> list[dict[str, Any]]:
    """Splits a batch into one group of rows for each combination of values of the slicing features."""
    features = extracts[tfma.FEATURES_KEY]
    members: dict[tuple[Any, ...], list[int]] = {}
    for row, values in enumerate(zip(*features.values(), strict=True)):
        members.setdefault(values, []).append(row)
    kept = {
        key: extracts[key] for key in (tfma.PREDICTIONS_KEY, tfma.constants.TRANSFORMED_FEATURES_KEY) if key in extracts
    }
    return [
        {
            tfma.FEATURES_KEY: {name: np.array(v) for name, v in zip(features, values, strict=True) if v},
            **_take(kept, np.array(rows)),
        }
        for values, rows in members.items()
    ]


def _take(tree: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Takes the rows of every array in nested dictionaries."""
    return {key: _take(value, rows) if isinstance(value, dict) else value[rows] for key, value in tree.items()}


Outputs = dict[str, np.ndarray]
"""The model's outputs by name, [N, ...] each."""


class Fold(Protocol):
    """A metric as a fold over batches of rows, as of Beam's CombineFn."""

    def start(self) -> Any:
        """Returns an empty state."""

    def add(self, state: Any, rows: Any) -> Any:
        """Returns the state with a batch of rows."""

    def merge(self, states: Iterable[Any]) -> Any:
        """Returns one state of several."""

    def read(self, state: Any) -> dict[str, float]:
        """Returns the metrics by name."""


def computations(fold: Fold, rows: Callable[[Outputs, Outputs, str], Any]) -> Callable[..., list[Any]]:
    """Returns the function of a `tfma.metrics.Metric` that creates a fold's computations.

    Args:
      fold: The fold.
      rows: From a batch's outputs and labels and the task to the rows that the fold adds.
    """

    def create(name: str, model_names: Sequence[str], output_names: Sequence[str] | None, **_: Any) -> list[Any]:
        metrics = list(fold.read(fold.start()))
        return [
            tfma.metrics.MetricComputation(
                keys=[_key(metric, model, task) for metric in metrics],
                preprocessors=[_Rows(rows, f"{name}:{model}:{task}", model, task)],
                combiner=_FoldFn(fold, model, task),
            )
            for model in model_names
            for task in output_names or ("",)
        ]

    return create


def _key(metric: str, model: str, task: str) -> Any:
    """Returns a key with `example_weighted=None`, by which TFMA finds the thresholds of a metrics spec."""
    return tfma.metrics.MetricKey(name=metric, model_name=model, output_name=task, example_weighted=None)


class _Rows(tfma.metrics.Preprocessor):
    """Extracts the rows of a metric from the model's outputs and labels."""

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
        return {_key(name, self._model, self._task): value for name, value in self._fold.read(accumulator).items()}
