"""The metrics of requests in the forms that services send (`request_forms`), in TFMA's form."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.accumulator import Events, Memory, UserAverages
from pipeline.evaluation.batches import Fold, Outputs, computation
from trainer.metrics.names import STANDARD_ERROR, ranking_metrics
from trainer.metrics.prediction import Answers, BinaryMetrics, RegressionMetrics
from trainer.metrics.ranking import Floats, Targets
from trainer.metrics.request_forms import REQUEST_RANK, request_output

_FOLDS: Final[dict[str, type[Fold]]] = {"rmse": RegressionMetrics, "auc": BinaryMetrics}


class RequestMetrics(tfma.metrics.Metric):
    """recall@K, ndcg@K and hr@K of every form, as `<form>_<metric>`, averaged over users, with standard errors.

    A model that does not answer for the forms has NaN.

    Args:
      forms: Their names, in the order of the model's answers.
      ks: The lengths K.
      one_list: See `metrics_by_user`.
      name: The metric's name in the configuration.
    """

    def __init__(self, forms: Sequence[str], ks: Sequence[int], one_list: bool, name: str = "requests"):
        super().__init__(_retrieval, forms=list(forms), ks=list(ks), one_list=one_list, name=name)


class RequestTaskMetrics(tfma.metrics.Metric):
    """A task's metric in every form, as `<form>_<metric>`.

    Args:
      forms: Their names, in the order of the model's answers.
      metric: `rmse` or `auc`.
      name: The metric's name in the configuration; the task itself is the spec's output name.
    """

    def __init__(self, forms: Sequence[str], metric: str, name: str = "request_task"):
        super().__init__(_task, forms=list(forms), metric=metric, name=name)


class FormsFold:
    """A fold for each form, and the metrics of theirs that are told.

    Args:
      forms: The names.
      fold: Of one form's rows.
    """

    def __init__(self, forms: Sequence[str], fold: Fold):
        self._forms = tuple(forms)
        self._fold = fold

    def start(self) -> list[Any]:
        """No rows."""
        return [self._fold.start() for _ in self._forms]

    def add(self, state: list[Any], rows: Sequence[Any]) -> list[Any]:
        """Takes rows in, those of each form."""
        return [self._fold.add(own, of_form) for own, of_form in zip(state, rows, strict=True)]

    def merge(self, states: Iterable[list[Any]]) -> list[Any]:
        """The rows of all."""
        return [self._fold.merge(own) for own in zip(*states, strict=True)]

    def read(self, state: list[Any]) -> dict[str, float]:
        """The metrics by name; a standard error's prefix comes first."""
        found: dict[str, float] = {}
        for form, own in zip(self._forms, state, strict=True):
            for name, value in self._fold.read(own).items():
                plain = name.removeprefix(STANDARD_ERROR)
                found[f"{STANDARD_ERROR if plain != name else ''}{form}_{plain}"] = value
        return found


class RankFold(UserAverages):
    """recall@K, ndcg@K and hr@K with their standard errors.

    Args:
      ks: The lengths K.
      one_list: See `metrics_by_user`.
    """

    def __init__(self, ks: Sequence[int], one_list: bool):
        super().__init__(ks, one_list)
        self._names = [name for name in ranking_metrics(tuple(ks)) if "@" in name]

    def read(self, state: Memory) -> dict[str, float]:  # type: ignore[override]
        """The metrics by name."""
        averages = super().read(state)
        errors = {STANDARD_ERROR + n: float(v) for n, v in zip(self._names, averages.standard_error[0], strict=False)}
        return {n: float(v) for n, v in zip(self._names, averages.mean[0], strict=False)} | errors


class MetricFold:
    """One metric of a task.

    Args:
      metric: `rmse` or `auc`.
    """

    def __init__(self, metric: str):
        self._metric = metric
        self._fold = _FOLDS[metric]()

    def start(self) -> Any:
        """No rows."""
        return self._fold.start()

    def add(self, state: Any, rows: Answers) -> Any:
        """Takes rows in."""
        return self._fold.add(state, rows)

    def merge(self, states: Iterable[Any]) -> Any:
        """The rows of all."""
        return self._fold.merge(states)

    def read(self, state: Any) -> dict[str, float]:
        """The metric by its name."""
        return {self._metric: self._fold.read(state)[self._metric]}


def request_events(forms: int, outputs: Outputs) -> list[Events]:
    """By form the target events that were asked in it; none of a model that does not answer for forms."""
    weight = outputs["retrieval_weight"].ravel()
    ranks = outputs.get(REQUEST_RANK, np.full([len(weight), forms], np.nan))
    return [_events(outputs, ranks[:, form].astype(np.float64), weight > 0) for form in range(forms)]


def _events(outputs: Outputs, rank: Floats, is_target: np.ndarray) -> Events:
    kept = is_target & ~np.isnan(rank)
    targets = Targets(outputs["user_key"].ravel()[kept], rank[kept], rank[kept])
    no_items = np.empty([int(kept.sum()), 0], np.int64)
    return Events(targets, outputs["target_count"].ravel()[kept].astype(np.float64), no_items, no_items, 0)


def request_answers(forms: int, outputs: Outputs, labels: Outputs, task: str) -> list[Answers]:
    """By form the task's labelled predictions; none of a model that does not answer for forms."""
    label, weight = (labels[f"target_{kind}_{task}"].ravel().astype(np.float64) for kind in ("label", "weight"))
    found = outputs.get(request_output(task), np.full([len(label), forms], np.nan)).astype(np.float64)
    columns = (found[:, form] for form in range(forms))
    return [
        Answers(label[is_asked], own[is_asked], weight[is_asked]) for own in columns for is_asked in [~np.isnan(own)]
    ]


def _retrieval(forms: list[str], ks: list[int], one_list: bool, name: str, model_names: Sequence[str]) -> list[Any]:
    fold = FormsFold(forms, RankFold(ks, one_list))
    return [computation(fold, partial(_event_rows, len(forms)), name, model) for model in model_names]


def _task(
    forms: list[str], metric: str, name: str, model_names: Sequence[str], output_names: Sequence[str]
) -> list[Any]:
    fold, rows = FormsFold(forms, MetricFold(metric)), partial(request_answers, len(forms))
    return [computation(fold, rows, name, model, task) for model in model_names for task in output_names]


def _event_rows(forms: int, outputs: Outputs, labels: Outputs, task: str) -> list[Events]:
    del labels, task
    return request_events(forms, outputs)
