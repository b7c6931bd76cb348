"""The retrieval metrics as a TFMA metric: one computation for all of them, for the model and the baseline."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.accumulator import Event, Figures, Memory, UserAverages
from pipeline.evaluation.metric_names import (
    LIFT,
    MAX_TOP_ITEMS,
    POPULARITY,
    STANDARD_ERROR,
    USERS,
    ranking_metrics,
)

_COLUMNS = (
    "user_key",
    "target_count",
    "target_rank",
    "popularity_rank",
    "catalogue_size",
    "top_items",
    "popularity_top_items",
)
_KINDS = ("", POPULARITY, LIFT)


class RetrievalMetrics(tfma.metrics.Metric):
    """recall@K, ndcg@K, hr@K, mrr and coverage@K, averaged over users; beside them `popularity_<metric>`, the lift
    `lift_<metric>` (model minus popularity), the standard errors `stderr_<...>` and the number of `users`.

    `user_figures` has the definitions. The lift's standard error is that of the difference within users.

    Args:
      ks: The lengths K.
      one_list: Whether the targets of a user stand in one ranked list (a frozen history), or each in its own.
      code: A digest of the evaluation's code; it is part of the component's cache key and has no other effect.
      name: The metric's name in the configuration.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, code: str = "", name: str = "retrieval"):
        super().__init__(_computations, ks=list(ks), one_list=one_list, code=code, name=name)


def _computations(
    ks: list[int], one_list: bool, code: str = "", name: str = "retrieval", model_names: Sequence[str] = ("",)
) -> list[Any]:
    del code, name
    return [
        tfma.metrics.MetricComputation(
            keys=[_key(metric, model) for metric in metric_keys(ks)],
            preprocessors=[_EventPreprocessor(model)],
            combiner=_UserAveragesFn(ks, one_list, model),
        )
        for model in model_names
    ]


def metric_keys(ks: Sequence[int]) -> list[str]:
    """All names that `RetrievalMetrics` writes."""
    return list(_named(ks, UserAverages(ks, one_list=True).read(UserAverages(ks, one_list=True).start())))


def _key(metric: str, model_name: str) -> Any:
    """Neither weighted nor unweighted (None): so TFMA finds the thresholds of a metrics spec by name."""
    return tfma.metrics.MetricKey(name=metric, model_name=model_name, example_weighted=None)


class _EventPreprocessor(tfma.metrics.Preprocessor):
    """Keeps of an example what the averages need; events that are no positives are not counted."""

    def __init__(self, model_name: str):
        super().__init__(name=f"retrieval_event:{model_name}")
        self._model_name = model_name

    def process(self, extracts: dict[str, Any]) -> Iterator[Event]:
        outputs = extracts[tfma.PREDICTIONS_KEY]
        if self._model_name in outputs:
            outputs = outputs[self._model_name]
        if outputs["retrieval_weight"].item() > 0:
            *scalars, top, popularity_top = (outputs[column] for column in _COLUMNS)
            yield Event._make([*(scalar.item() for scalar in scalars), top, popularity_top])


class _UserAveragesFn(beam.CombineFn):
    def __init__(self, ks: Sequence[int], one_list: bool, model_name: str):
        self._ks = tuple(ks)
        self._averages = UserAverages(ks, one_list)
        self._model_name = model_name

    def create_accumulator(self) -> Memory:
        return self._averages.start()

    def add_input(self, accumulator: Memory, element: Event) -> Memory:
        return self._averages.add(accumulator, element)

    def merge_accumulators(self, accumulators: Sequence[Memory]) -> Memory:
        return self._averages.merge(accumulators)

    def compact(self, accumulator: Memory) -> Memory:
        return self._averages.fold(accumulator)

    def extract_output(self, accumulator: Memory) -> dict[Any, float]:
        values = _named(self._ks, self._averages.read(accumulator))
        return {_key(name, self._model_name): value for name, value in values.items()}


def _named(ks: Sequence[int], figures: Figures) -> dict[str, float]:
    values = {USERS: float(figures.users)}
    for row, kind in enumerate(_KINDS):
        for column, metric in enumerate(ranking_metrics(tuple(ks))):
            values[kind + metric] = float(figures.mean[row, column])
            values[STANDARD_ERROR + kind + metric] = float(figures.standard_error[row, column])
    coverage = np.concatenate([figures.coverage, figures.coverage[:1] - figures.coverage[1:]])
    listed = [(column, k) for column, k in enumerate(ks) if k <= MAX_TOP_ITEMS]
    for row, kind in enumerate(_KINDS):
        values |= {f"{kind}coverage@{k}": float(coverage[row, column]) for column, k in listed}
    return values
