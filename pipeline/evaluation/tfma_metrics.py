"""Our metrics in TFMA's form. Each reads arrays of rows: `extractors` says why."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.accumulator import Averages, Events, Memory, UserAverages
from pipeline.evaluation.batches import Outputs, computation
from trainer.metrics.names import (
    EXAMPLES,
    LIFT,
    MAX_TOP_ITEMS,
    POPULARITY,
    STANDARD_ERROR,
    USERS,
    ranking_metrics,
)
from trainer.metrics.ordering import OrderMetrics, Scores
from trainer.metrics.prediction import Answers, BinaryMetrics, ClassMetrics, RegressionMetrics
from trainer.metrics.ranking import Floats, Targets

_KINDS = ("", POPULARITY, LIFT)


class RetrievalMetrics(tfma.metrics.Metric):
    """recall@K, ndcg@K, hr@K, mrr and coverage@K, averaged over users; beside them `popularity_<metric>`, the lift
    `lift_<metric>` (model minus popularity), the standard errors `stderr_<...>` and the number of `users`.

    `ranking_metrics` has the definitions. The lift's standard error is that of the difference within users.

    Args:
      ks: The lengths K.
      one_list: Whether the targets of a user stand in one ranked list (a frozen history), or each in its own.
      name: The metric's name in the configuration.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, name: str = "retrieval"):
        super().__init__(_retrieval, ks=list(ks), one_list=one_list, name=name)


class TaskMetrics(tfma.metrics.Metric):
    """The metrics of a task; `task_figures`, `class_figures` and `order_metrics` have the definitions.

    Args:
      kind: The task's.
      name: The metric's name in the configuration; the task itself is the spec's output name.
    """

    def __init__(self, kind: str, name: str = "task"):
        super().__init__(_task, kind=kind, name=name)


class RowCount(tfma.metrics.Metric):
    """The number of examples in the slice.

    Args:
      code: A digest of the evaluation's code; it enters the component's cache key and has no other effect.
      name: The metric's name.
    """

    def __init__(self, code: str = "", name: str = EXAMPLES):
        super().__init__(_count, code=code, name=name)


class IndexRecall(tfma.metrics.Metric):
    """The mean over examples of what share of the exact search's best items the served index finds.

    A model that does not answer `index_recall` has an exact index.

    Args:
      name: The metric's name, `index_recall@K`.
    """

    def __init__(self, name: str):
        super().__init__(_index_recall, name=name)


class _RetrievalFold(UserAverages):
    def __init__(self, ks: Sequence[int], one_list: bool):
        super().__init__(ks, one_list)
        self._lengths = tuple(ks)

    def read(self, state: Memory) -> dict[str, float]:  # type: ignore[override]
        return _named(self._lengths, super().read(state))


class _CountFold:
    def start(self) -> float:
        return 0.0

    def add(self, state: float, rows: int) -> float:
        return state + rows

    def merge(self, states: Iterable[float]) -> float:
        return sum(states)

    def read(self, state: float) -> dict[str, float]:
        return {EXAMPLES: state}


class _MeanFold:
    def __init__(self, name: str):
        self._name = name

    def start(self) -> Floats:
        return np.zeros(2)

    def add(self, state: Floats, rows: Floats) -> Floats:
        return state + np.array([rows.sum(), len(rows)])

    def merge(self, states: Iterable[Floats]) -> Floats:
        return sum(states, np.zeros(2))

    def read(self, state: Floats) -> dict[str, float]:
        return {self._name: float(state[0] / state[1]) if state[1] else float("nan")}


def _retrieval(ks: list[int], one_list: bool, name: str, model_names: Sequence[str]) -> list[Any]:
    fold = _RetrievalFold(ks, one_list)
    return [computation(fold, _events, name, model) for model in model_names]


def _task(kind: str, name: str, model_names: Sequence[str], output_names: Sequence[str]) -> list[Any]:
    make_fold, rows = _TASKS[kind]
    return [computation(make_fold(), rows, name, model, task) for model in model_names for task in output_names]


def _index_recall(name: str, model_names: Sequence[str]) -> list[Any]:
    return [computation(_MeanFold(name), _recalls, name, model) for model in model_names]


def _count(code: str, name: str, model_names: Sequence[str]) -> list[Any]:
    del code
    return [computation(_CountFold(), _row_count, name, model) for model in model_names]


def _events(outputs: Outputs, labels: Outputs, task: str) -> Events:
    del labels, task
    kept = outputs["retrieval_weight"].ravel() > 0
    rows = {name: values[kept] for name, values in outputs.items()}
    rank, popularity_rank, count, size = (
        rows[name].ravel().astype(np.float64)
        for name in ("target_rank", "popularity_rank", "target_count", "catalogue_size")
    )
    targets = Targets(rows["user_key"].ravel(), rank, popularity_rank)
    return Events(targets, count, rows["top_items"], rows["popularity_top_items"], int(size.max(initial=0)))


def _answers(outputs: Outputs, labels: Outputs, task: str) -> Answers:
    columns = (labels[f"target_label_{task}"], outputs[task], labels[f"target_weight_{task}"])
    return Answers(*(column.ravel().astype(np.float64) for column in columns))


def _class_answers(outputs: Outputs, labels: Outputs, task: str) -> Answers:
    columns = (labels[f"target_label_{task}"], outputs[task], labels[f"target_weight_{task}"].ravel())
    return Answers(*(column.astype(np.float64) for column in columns))


def _scores(outputs: Outputs, labels: Outputs, task: str) -> Scores:
    label, score, weight = _answers(outputs, labels, task)
    return Scores(outputs["user_key"].ravel()[weight > 0], label[weight > 0], score[weight > 0])


_TASKS: dict[str, tuple[Callable[[], Any], Callable[..., Any]]] = {
    "binary": (BinaryMetrics, _answers),
    "regression": (RegressionMetrics, _answers),
    "multiclass": (ClassMetrics, _class_answers),
    "pairwise": (OrderMetrics, _scores),
    "listwise": (OrderMetrics, _scores),
}
"""By the task's kind: the fold, and what picks its rows of the model's answers."""


def _recalls(outputs: Outputs, labels: Outputs, task: str) -> Floats:
    exact = np.ones(_row_count(outputs, labels, task))
    return outputs.get("index_recall", exact).ravel().astype(np.float64)


def _row_count(outputs: Outputs, labels: Outputs, task: str) -> int:
    del labels, task
    return len(next(iter(outputs.values())))


def _named(ks: Sequence[int], averages: Averages) -> dict[str, float]:
    values = {USERS: float(averages.users)}
    for row, kind in enumerate(_KINDS):
        for column, metric in enumerate(ranking_metrics(tuple(ks))):
            values[kind + metric] = float(averages.mean[row, column])
            values[STANDARD_ERROR + kind + metric] = float(averages.standard_error[row, column])
    coverage = np.concatenate([averages.coverage, averages.coverage[:1] - averages.coverage[1:]])
    listed = [(column, k) for column, k in enumerate(ks) if k <= MAX_TOP_ITEMS]
    for row, kind in enumerate(_KINDS):
        values |= {f"{kind}coverage@{k}": float(coverage[row, column]) for column, k in listed}
    return values
