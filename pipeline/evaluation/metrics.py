"""The evaluation's metrics in TFMA's form. Each is a fold over arrays of rows: `batches` says why."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import tensorflow_model_analysis as tfma

from pipeline.evaluation.accumulator import Events, Memory, UserAverages
from pipeline.evaluation.batches import Fold, Outputs, computations
from trainer.metrics.names import (
    COLD_PREFIXES,
    COLD_USERS,
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
from trainer.metrics.request_forms import REQUEST_RANK, request_output

_KINDS: Final = ("", POPULARITY, LIFT)
_COLD_RANKS: Final = (("target_rank", "popularity_rank"), ("cold_rank", "popularity_cold_rank"))
"""The model's and the baseline's: in the full catalogue, and among cold items."""


class RetrievalMetrics(tfma.metrics.Metric):
    """recall@K, ndcg@K, hr@K, mrr and coverage@K, averaged over users.

    Beside them are `popularity_<metric>`, the lift `lift_<metric>` (model minus popularity), the standard errors
    `stderr_<...>` and the number of `users`. `ranking_metrics` has the definitions. The lift's standard error is that
    of the difference within users.

    Args:
      ks: The lengths K.
      one_list: Whether the targets of a user stand in one ranked list (a frozen history), or each in its own.
      name: The metric's name in the configuration.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, name: str = "retrieval"):
        create = computations(RetrievalFold(ks, one_list), retrieval_events)
        super().__init__(create, ks=list(ks), one_list=one_list, name=name)


class ColdItemMetrics(tfma.metrics.Metric):
    """recall@K and ndcg@K of targets without a positive train event, averaged over the `cold_item_users` with such.

    `cold_<metric>` ranks the full catalogue, `among_cold_<metric>` only cold items. Popularity knows nothing of cold
    items: its rank among them is the order of equal scores. Lifts and standard errors are as of `RetrievalMetrics`.

    Args:
      ks: The lengths K.
      one_list: See `RetrievalMetrics`.
      name: The metric's name in the configuration.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, name: str = "cold_items"):
        super().__init__(
            computations(ColdItemFold(ks, one_list), cold_events), ks=list(ks), one_list=one_list, name=name
        )


class RequestMetrics(tfma.metrics.Metric):
    """recall@K, ndcg@K and hr@K of every request form, as `<form>_<metric>`, over users, with standard errors.

    A model that does not answer for the forms (`request_forms`) has NaN.

    Args:
      forms: Their names, in the order of the model's answers.
      ks: The lengths K.
      one_list: See `RetrievalMetrics`.
      name: The metric's name in the configuration.
    """

    def __init__(self, forms: Sequence[str], ks: Sequence[int], one_list: bool, name: str = "requests"):
        create = computations(request_fold(forms, ks, one_list), partial(request_events, len(forms)))
        super().__init__(create, forms=list(forms), ks=list(ks), one_list=one_list, name=name)


class RequestTaskMetrics(tfma.metrics.Metric):
    """A task's metric in every request form, as `<form>_<metric>`.

    Args:
      forms: Their names, in the order of the model's answers.
      metric: `rmse` or `auc`.
      name: The metric's name in the configuration; the task itself is the spec's output name.
    """

    def __init__(self, forms: Sequence[str], metric: str, name: str = "request_task"):
        create = computations(request_task_fold(forms, metric), partial(request_answers, len(forms)))
        super().__init__(create, forms=list(forms), metric=metric, name=name)


class ListMetrics(tfma.metrics.Metric):
    """The mean of each metric of the model's lists and, as `popularity_<name>`, of those of the most popular items.

    `trainer.metrics.lists` has the definitions. Lists of which a metric is undefined do not count; a model that does
    not answer it has NaN.

    Args:
      names: `novelty@10`, `intra_list_distance@10`, ...: every K for which the model answers, metric by metric.
      name: The metric's name in the configuration.
    """

    def __init__(self, names: Sequence[str], name: str = "lists"):
        fold = Means([kind + metric for kind in ("", POPULARITY) for metric in names])
        super().__init__(computations(fold, partial(list_rows, list(names))), names=list(names), name=name)


class TaskMetrics(tfma.metrics.Metric):
    """The metrics of a task; `trainer.metrics.prediction` and `trainer.metrics.ordering` have the definitions.

    Args:
      kind: The task's kind.
      name: The metric's name in the configuration; the task itself is the spec's output name.
    """

    def __init__(self, kind: str, name: str = "task"):
        make_fold, rows = _TASKS[kind]
        super().__init__(computations(make_fold(), rows), kind=kind, name=name)


class RowCount(tfma.metrics.Metric):
    """The number of examples in the slice.

    Args:
      code: A digest of the evaluation's code, for the component's cache key.
      sample: The arguments of `UserSample`, which reads them here: an `EvalConfig` has no other place for them.
      min_slice_users: That of `MergeSmallSlices`, likewise.
      name: The metric's name.
    """

    def __init__(
        self, code: str = "", sample: dict[str, int] | None = None, min_slice_users: int = 1, name: str = EXAMPLES
    ):
        create = computations(_Count([EXAMPLES]), _one_each)
        super().__init__(create, code=code, sample=sample, min_slice_users=min_slice_users, name=name)


class IndexRecall(tfma.metrics.Metric):
    """The mean over examples of the share of the exact search's best items that the served index finds.

    A model that does not answer `index_recall` has an exact index.

    Args:
      name: The metric's name, `index_recall@K`.
    """

    def __init__(self, name: str):
        super().__init__(computations(Means([name]), _recalls), name=name)


class Means:
    """A fold of means over rows [N, M], NaN values left out. The state is float [2, M]: sums and counts.

    Args:
      names: The names of the M metrics.
    """

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)

    def start(self) -> Floats:
        """See `Fold`."""
        return np.zeros([2, len(self._names)])

    def add(self, state: Floats, rows: Floats) -> Floats:
        """See `Fold`."""
        return state + np.stack([np.nansum(rows, axis=0), np.sum(~np.isnan(rows), axis=0)])

    def merge(self, states: Iterable[Floats]) -> Floats:
        """See `Fold`."""
        return sum(states, self.start())

    def read(self, state: Floats) -> dict[str, float]:
        """Returns the means by name, NaN where there are no values."""
        with np.errstate(invalid="ignore"):
            return dict(zip(self._names, (state[0] / state[1]).tolist(), strict=True))


class _Count(Means):
    def read(self, state: Floats) -> dict[str, float]:
        return dict(zip(self._names, state[1].tolist(), strict=True))


class RankFold(UserAverages):
    """A fold of recall@K, ndcg@K, hr@K and mrr over users, with standard errors.

    Args:
      ks: The lengths K.
      one_list: See `RetrievalMetrics`.
      kinds: Which of the model's metrics (""), the baseline's and the lift are read.
    """

    def __init__(self, ks: Sequence[int], one_list: bool, kinds: Sequence[str] = _KINDS):
        super().__init__(ks, one_list)
        self._names = ranking_metrics(tuple(ks))
        self._kinds = tuple(kinds)

    def read(self, state: Memory) -> dict[str, float]:
        """Returns the metrics by name."""
        averages, values = self.averages(state), {}
        for kind in self._kinds:
            row = _KINDS.index(kind)
            for column, metric in enumerate(self._names):
                values[kind + metric] = float(averages.mean[row, column])
                values[STANDARD_ERROR + kind + metric] = float(averages.standard_error[row, column])
        return values


class RetrievalFold(RankFold):
    """`RankFold` with the number of users and coverage@K, for the K that the model's lists reach."""

    def read(self, state: Memory) -> dict[str, float]:
        """Returns the metrics by name."""
        found = self.averages(state)
        values = {USERS: float(found.users), **super().read(state)}
        coverage = np.concatenate([found.coverage, found.coverage[:1] - found.coverage[1:]])
        for row, kind in enumerate(_KINDS):
            for column, k in enumerate(self._ks):
                if k <= MAX_TOP_ITEMS:
                    values[f"{kind}coverage@{k}"] = float(coverage[row, column])
        return values


class Parallel:
    """Folds side by side, each with rows and a state of its own. A metric is named `<prefix><metric>`.

    The prefixes of standard errors and baselines stay first: `stderr_popularity_cold_ndcg@10`.

    Args:
      folds: The folds by prefix.
      metrics: The start of the names of the metrics that are read, such as `recall@`.
    """

    def __init__(self, folds: dict[str, Fold], metrics: tuple[str, ...]):
        self._folds = folds
        self._metrics = metrics

    def start(self) -> list[Any]:
        """See `Fold`."""
        return [fold.start() for fold in self._folds.values()]

    def add(self, state: list[Any], rows: Sequence[Any]) -> list[Any]:
        """Adds the rows of each fold."""
        return [fold.add(*pair) for fold, *pair in zip(self._folds.values(), state, rows, strict=True)]

    def merge(self, states: Iterable[list[Any]]) -> list[Any]:
        """See `Fold`."""
        return [fold.merge(own) for fold, *own in zip(self._folds.values(), *states, strict=True)]

    def read(self, state: list[Any]) -> dict[str, float]:
        """Returns the metrics of all folds by name."""
        found = {}
        for (prefix, fold), own in zip(self._folds.items(), state, strict=True):
            for name, value in fold.read(own).items():
                metric, before = name, ""
                for kind in (STANDARD_ERROR, POPULARITY, LIFT):
                    if metric.startswith(kind):
                        metric, before = metric.removeprefix(kind), before + kind
                if metric.startswith(self._metrics):
                    found[before + prefix + metric] = value
        return found


class ColdItemFold(Parallel):
    """The ranks of cold targets in the full catalogue and among cold items, and the number of their users."""

    def __init__(self, ks: Sequence[int], one_list: bool):
        self._ranks = RankFold(ks, one_list)
        super().__init__(dict.fromkeys(COLD_PREFIXES, self._ranks), ("recall@", "ndcg@"))

    def read(self, state: list[Any]) -> dict[str, float]:
        """Returns the metrics by name."""
        return {COLD_USERS: float(self._ranks.averages(state[0]).users), **super().read(state)}


def request_fold(forms: Sequence[str], ks: Sequence[int], one_list: bool) -> Parallel:
    """Returns the fold of `RequestMetrics`."""
    fold = RankFold(ks, one_list, kinds=("",))
    return Parallel({f"{form}_": fold for form in forms}, ("recall@", "ndcg@", "hr@"))


def request_task_fold(forms: Sequence[str], metric: str) -> Parallel:
    """Returns the fold of `RequestTaskMetrics`."""
    folds: dict[str, Callable[[], Fold]] = {"rmse": RegressionMetrics, "auc": BinaryMetrics}
    fold = folds[metric]()
    return Parallel({f"{form}_": fold for form in forms}, (metric,))


def retrieval_events(outputs: Outputs, labels: Outputs, task: str) -> Events:
    """Returns the target events with a retrieval label."""
    kept = outputs["retrieval_weight"].ravel() > 0
    rows = {name: values[kept] for name, values in outputs.items()}
    rank, popularity_rank, count, size = (
        rows[name].ravel().astype(np.float64)
        for name in ("target_rank", "popularity_rank", "target_count", "catalogue_size")
    )
    targets = Targets(rows["user_key"].ravel(), rank, popularity_rank)
    return Events(targets, count, rows["top_items"], rows["popularity_top_items"], int(size.max(initial=0)))


def _events_of_ranks(outputs: Outputs, kept: np.ndarray, rank: np.ndarray, popularity_rank: np.ndarray) -> Events:
    """Returns events with ranks only: no list covers an item."""
    ranks = (values.ravel()[kept].astype(np.float64) for values in (rank, popularity_rank))
    no_items = np.empty([int(kept.sum()), 0], np.int64)
    count = outputs["target_count"].ravel()[kept].astype(np.float64)
    return Events(Targets(outputs["user_key"].ravel()[kept], *ranks), count, no_items, no_items, 0)


def cold_events(outputs: Outputs, labels: Outputs, task: str) -> list[Events]:
    """Returns the target events of cold items with each kind of rank; none of a model that does not mark cold items."""
    unknown = np.zeros(len(outputs["retrieval_weight"]))
    outputs = {"is_cold_item": unknown, **dict.fromkeys(_COLD_RANKS[1], unknown), **outputs}
    kept = (outputs["retrieval_weight"].ravel() > 0) & (outputs["is_cold_item"].ravel() > 0)
    return [_events_of_ranks(outputs, kept, *(outputs[name] for name in ranks)) for ranks in _COLD_RANKS]


def request_events(forms: int, outputs: Outputs, labels: Outputs, task: str) -> list[Events]:
    """Returns by form the sampled target events; none of a model that does not answer for forms."""
    weight = outputs["retrieval_weight"].ravel()
    ranks = outputs.get(REQUEST_RANK, np.full([len(weight), forms], np.nan))
    kept = (weight > 0)[:, None] & ~np.isnan(ranks)
    return [_events_of_ranks(outputs, kept[:, f], ranks[:, f], ranks[:, f]) for f in range(forms)]


def request_answers(forms: int, outputs: Outputs, labels: Outputs, task: str) -> list[Answers]:
    """Returns by form the task's labelled predictions; none of a model that does not answer for forms."""
    label, weight = (labels[f"target_{kind}_{task}"].ravel().astype(np.float64) for kind in ("label", "weight"))
    found = outputs.get(request_output(task), np.full([len(label), forms], np.nan)).astype(np.float64)
    is_sampled = ~np.isnan(found)
    return [
        Answers(*(column[is_sampled[:, form]] for column in (label, found[:, form], weight))) for form in range(forms)
    ]


def list_rows(names: Sequence[str], outputs: Outputs, labels: Outputs, task: str) -> Floats:
    """Returns the metrics of the lists with a retrieval label: float [N, 2 |names|], popularity's last."""
    kept = outputs["retrieval_weight"].ravel() > 0
    metrics = list(dict.fromkeys(name.partition("@")[0] for name in names))
    width = len(names) // len(metrics) if metrics else 0
    unknown = np.full([len(kept), width], np.nan)
    columns = [outputs.get(kind + metric, unknown)[kept] for kind in ("", POPULARITY) for metric in metrics]
    return np.concatenate([np.empty([int(kept.sum()), 0]), *columns], axis=1)


def _answers(outputs: Outputs, labels: Outputs, task: str) -> Answers:
    columns = (labels[f"target_label_{task}"], outputs[task], labels[f"target_weight_{task}"])
    return Answers(*(column.ravel().astype(np.float64) for column in columns))


def _class_answers(outputs: Outputs, labels: Outputs, task: str) -> Answers:
    columns = (labels[f"target_label_{task}"], outputs[task], labels[f"target_weight_{task}"].ravel())
    return Answers(*(column.astype(np.float64) for column in columns))


def _scores(outputs: Outputs, labels: Outputs, task: str) -> Scores:
    label, score, weight = _answers(outputs, labels, task)
    return Scores(outputs["user_key"].ravel()[weight > 0], label[weight > 0], score[weight > 0])


_TASKS: dict[str, tuple[Callable[[], Fold], Callable[[Outputs, Outputs, str], Any]]] = {
    "binary": (BinaryMetrics, _answers),
    "regression": (RegressionMetrics, _answers),
    "multiclass": (ClassMetrics, _class_answers),
    "pairwise": (OrderMetrics, _scores),
    "listwise": (OrderMetrics, _scores),
}
"""By the task's kind: the fold, and its rows of the model's outputs."""


def _one_each(outputs: Outputs, labels: Outputs, task: str) -> Floats:
    return np.ones([len(next(iter(outputs.values()))), 1])


def _recalls(outputs: Outputs, labels: Outputs, task: str) -> Floats:
    return outputs.get("index_recall", _one_each(outputs, labels, task)).reshape(-1, 1).astype(np.float64)
