"""RatingBaseline for a trained model."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from config.progress import say
from config.tasks import NETWORK, PointwiseTask, RatingBaselineConfig
from trainer.data.dataset import WindowData
from trainer.data.user_sample import UserSample
from trainer.model.recommender import RecommenderModel
from trainer.stacking.attributes import ItemAttributes, item_attributes
from trainer.stacking.baseline_weights import Say, choose_weights
from trainer.stacking.bias_terms import fit_bias_terms
from trainer.stacking.blend import Blend
from trainer.stacking.factors import UserFactors, fit_factors
from trainer.stacking.item_correlation import correlation_links
from trainer.stacking.item_pairs import cosine_links
from trainer.stacking.labels import TrainLabels, read_labels
from trainer.stacking.left_out import LeftOut
from trainer.stacking.neighbours import NeighbourTable
from trainer.stacking.outcomes import OutcomeLabels, outcome_labels
from trainer.stacking.rating_baseline import RatingBaseline

_BASELINE: Final = "baseline"
"""All parts of a task at once, where it has none."""
_EXACT: Final = 1e-6
"""Labels that lie no further from their bias_terms, in their deviation, lie on them; what is so small is rounding."""


class _Task(NamedTuple):
    """A task with baseline, and its labels in the train log; `observed`: what the history tells of them."""

    name: str
    task: PointwiseTask
    config: RatingBaselineConfig
    labels: TrainLabels
    observed: OutcomeLabels | None

    @property
    def known_from(self) -> Hashable:
        """Tasks for which this is the same count on the same baseline."""
        parts = None if self.config.weights is None else frozenset(self.config.weights)
        return (
            self.observed.feature if self.observed else (self.name,),
            self.config.model_copy(update={"weights": None}),
            parts,
        )


def fit_rating_baselines(
    model: RecommenderModel, train: WindowData, sample: UserSample | None, left_out: LeftOut, say: Say = say
) -> list[RatingBaseline]:
    """Finds the baseline of the tasks that predict labels and chooses the parts' weights. Says what it did.

    Args:
        model: trained.
        train: the windows that it was trained on.
        sample: of the eval split; None where it is empty or trained on.
        left_out: is observed what is left out, and why.
        say: is observed what was chosen and why.

    Returns:
        Those that a task counts on: none does that has none configured, or nothing left to choose the weights on.
    """
    groups: dict[Hashable, list[_Task]] = defaultdict(list)
    for task in _tasks(model, train, sample is not None, left_out):
        groups[task.known_from].append(task)
    found = [_baseline_of(group, model, left_out) for group in groups.values()]
    unweighted = [baseline for baseline in found if any(blend.weights is None for blend in baseline.blends.values())]
    if sample is not None and unweighted:
        choose_weights(model, unweighted, sample, say)
    for baseline in found:
        unknown = [name for name, blend in baseline.blends.items() if blend.weights is None]
        for name in unknown:
            left_out.tell(name, baseline.names, "no target of the eval split is labelled to weigh them on")
        baseline.blends = {name: blend for name, blend in baseline.blends.items() if blend.counts}
    return [baseline for baseline in found if baseline.blends]


def _tasks(model: RecommenderModel, train: WindowData, can_weigh: bool, left_out: LeftOut) -> Iterator[_Task]:
    """The tasks that have baseline and labels."""
    pointwise = {name: task for name, task in model.config.ranking.items() if isinstance(task, PointwiseTask)}
    configs = {name: task.baseline for name, task in pointwise.items() if task.baseline}
    for name, config in list(configs.items()):
        if config.weights is None and not can_weigh:
            reason = f"no eval split is held out to weigh them on; `tasks.{name}.baseline.weights` may weigh them"
            left_out.tell(name, [_BASELINE], reason)
            del configs[name]
    outcomes = model.queries.outcomes
    for name, labels in read_labels(train, list(configs), [feature.name for feature in outcomes], model.spec).items():
        if reason := _nothing_to_learn(labels.label):
            left_out.tell(name, [_BASELINE], reason)
        else:
            yield _Task(name, pointwise[name], configs[name], labels, outcome_labels(labels, outcomes))


def _nothing_to_learn(label: NDArray[np.float64]) -> str:
    """Why baseline cannot be found in these labels; empty where they can."""
    if not label.size:
        return "no event of the train log is labelled"
    return "" if np.ptp(label) else f"all labels of the train log are {label[0]:g}"


def _baseline_of(tasks: Sequence[_Task], model: RecommenderModel, left_out: LeftOut) -> RatingBaseline:
    """Made of the task whose labels take the most values: a rating tells more than whether it is high."""
    lead = max(tasks, key=lambda task: len(np.unique(task.labels.label)))
    labels, spec, missing = lead.labels, model.spec, _Missing(lead, model, left_out)
    attributes = _attributes(lead, model, missing)
    bias_terms = fit_bias_terms(labels, spec.user_count, spec.item_count, attributes.matrices())
    residual = labels.by_user(labels.label - bias_terms.of(labels.user, labels.item), spec.user_count, spec.item_count)
    tables = {table.name: table for table in _tables(lead, residual, missing)} if lead.observed else {}
    user_factors = _user_factors(lead, residual, missing) if lead.observed else None
    baseline = RatingBaseline(
        bias_terms,
        lead.observed,
        tables,
        user_factors,
        attributes,
        _session_biases(lead, model, missing),
        lead.config.damping,
    )
    missing.tell([task.name for task in tasks])
    baseline.blends = {task.name: _blend(task, baseline) for task in tasks}
    return baseline


class _Missing:
    """The parts that are asked for and not found: to begin with those of the history, where no outcome tells labels.

    Args:
        task: whose labels are looked at.
        model: that is without the parts.
        left_out: is observed of them.
    """

    def __init__(self, task: _Task, model: RecommenderModel, left_out: LeftOut) -> None:
        self._weights, self._left_out = task.config.weights, left_out
        self._reasons: dict[str, list[str]] = defaultdict(list)
        if task.observed is None:
            found = [part for part in ("cosine", "correlation", "factors") if task.config.looks_for(part)]
            others = *task.config.session_biases, *task.config.attributes_of(model.config.features)
            self.add([*found, *others], "no categorical outcome in `features.outcome` tells the labels of a history")

    def add(self, parts: Iterable[str], reason: str) -> None:
        """Notes why parts are missing; nobody asked for those that configured weights do not name."""
        self._reasons[reason] += [part for part in parts if self._weights is None or part in self._weights]

    def tell(self, tasks: Sequence[str]) -> None:
        """Says it of all tasks that count on the same baseline."""
        for task in tasks:
            for reason, parts in self._reasons.items():
                self._left_out.tell(task, parts, reason)


def _blend(task: _Task, baseline: RatingBaseline) -> Blend:
    """With the configured weights of what is there."""
    weights = task.config.weights
    if weights is not None:
        weights = {part: weight for part, weight in weights.items() if part in (NETWORK, *baseline.names)}
    return Blend.of(task.task, float(task.labels.label.mean()), weights)


def _attributes(task: _Task, model: RecommenderModel, missing: _Missing) -> ItemAttributes:
    """Those of which an item has a value."""
    names, table = task.config.attributes_of(model.config.features), model.candidates.table
    known = item_attributes(names, model.spec.features, table).known_names
    if task.observed:
        missing.add([name for name in names if name not in known], "no item has a value of it")
    return item_attributes(known, model.spec.features, table)


def _session_biases(task: _Task, model: RecommenderModel, missing: _Missing) -> Mapping[str, int]:
    if model.config.data.interactions.time:
        return task.config.session_biases
    if task.observed:
        missing.add(task.config.session_biases, "the log has no times")
    return {}


def _tables(task: _Task, residual: sp.csr_matrix, missing: _Missing) -> Iterator[NeighbourTable]:
    """What reads the history's labels `residual` their bias_terms: float32 [U, V]."""
    config, labels = task.config, task.labels
    if config.looks_for("cosine"):
        links = cosine_links(labels.by_user(np.ones(len(labels.label)), *residual.shape), config.cosine)
        if links.nnz:
            yield NeighbourTable(links, 1.0, name="cosine")
        else:
            missing.add(["cosine"], "no user has labelled two items")
    if config.looks_for("correlation"):
        links = correlation_links(residual, config.correlation)
        if links.nnz:
            yield NeighbourTable(links, 1.0, name="correlation")
        else:
            missing.add(["correlation"], "no two items have labels that rise and fall together")


def _user_factors(task: _Task, residual: sp.csr_matrix, missing: _Missing) -> UserFactors | None:
    config, labels = task.config, task.labels
    if not config.looks_for("factors"):
        return None
    if np.abs(residual.data).mean() <= _EXACT * np.std(labels.label):
        missing.add(["factors"], "the bias_terms of users and items explain every label")
        return None
    factors = fit_factors(residual, labels.interactions(*residual.shape), config.factors)
    if np.abs(factors.item).max() <= _EXACT * np.sqrt(factors.noise):
        missing.add(["factors"], "the labels tell no user_factors")
        return None
    return UserFactors(factors)
