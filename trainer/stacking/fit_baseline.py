"""Fits rating baselines on a trained model."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp

from config.progress import say
from config.tasks import NETWORK, PointwiseTask, RatingBaselineConfig
from trainer.data.dataset import WindowData
from trainer.data.user_sample import UserSample
from trainer.model.recommender import RecommenderModel
from trainer.stacking.bias_terms import TrainLabels, fit_bias_terms, read_labels
from trainer.stacking.blend import Blend
from trainer.stacking.factors import UserFactors, fit_factors
from trainer.stacking.history import ItemAttributes, OutcomeLabels, item_attributes, outcome_labels
from trainer.stacking.item_pairs import correlation_links, cosine_links
from trainer.stacking.neighbours import NeighbourTable
from trainer.stacking.rating_baseline import RatingBaseline
from trainer.stacking.recommender import LeftOut
from trainer.stacking.weights import choose_weights

_BASELINE: Final = "baseline"
"""Stands for all parts of a task in the reasons for leaving them out."""
_EXACT: Final = 1e-6
"""Residuals below this share of the labels' deviation are rounding errors."""


class _Task(NamedTuple):
    """A task with a baseline.

    Attributes:
        name: The task's name.
        task: Its configuration.
        config: The baseline's configuration.
        labels: The labels in the train log.
        observed: The outcome that determines the labels, if there is one.
    """

    name: str
    task: PointwiseTask
    config: RatingBaselineConfig
    labels: TrainLabels
    observed: OutcomeLabels | None

    @property
    def group(self) -> Hashable:
        """A key that is equal for tasks which can share a baseline: the same outcome, settings and wanted parts."""
        parts = None if self.config.weights is None else frozenset(self.config.weights)
        outcome = self.observed.feature if self.observed else (self.name,)
        return outcome, self.config.model_copy(update={"weights": None}), parts


def fit_rating_baselines(
    model: RecommenderModel,
    train: WindowData,
    sample: UserSample | None,
    left_out: LeftOut,
    report: Callable[[str], object] = say,
) -> list[RatingBaseline]:
    """Fits the baselines of regression and binary tasks, and chooses the weights of their parts.

    Args:
        model: The trained model.
        train: The windows that it was trained on.
        sample: A sample of the eval split. None: the split is empty or trained on, and no weights are chosen.
        left_out: Collects the parts that are left out.
        report: Receives one line per task whose weights were chosen.

    Returns:
        The baselines with at least one blend; none for tasks without a configured baseline or without weights.
    """
    groups: dict[Hashable, list[_Task]] = defaultdict(list)
    for task in _tasks(model, train, sample is not None, left_out):
        groups[task.group].append(task)
    baselines = [_fit_baseline(group, model, left_out) for group in groups.values()]
    unweighted = [own for own in baselines if any(blend.weights is None for blend in own.blends.values())]
    if sample is not None and unweighted:
        choose_weights(model, unweighted, sample, report)
    for baseline in baselines:
        for name, blend in baseline.blends.items():
            if blend.weights is None:
                left_out.add(name, baseline.names, "no target of the eval split is labelled to weigh them on")
        baseline.blends = {name: blend for name, blend in baseline.blends.items() if blend.changes_network}
    return [baseline for baseline in baselines if baseline.blends]


def _tasks(model: RecommenderModel, train: WindowData, has_sample: bool, left_out: LeftOut) -> Iterator[_Task]:
    """Yields the tasks whose labels a baseline can be fitted to, and reports the others."""
    pointwise = {name: task for name, task in model.config.ranking.items() if isinstance(task, PointwiseTask)}
    configs = {name: task.baseline for name, task in pointwise.items() if task.baseline}
    for name, config in list(configs.items()):
        if config.weights is None and not has_sample:
            reason = f"no eval split is held out to weigh them on; `tasks.{name}.baseline.weights` may weigh them"
            left_out.add(name, [_BASELINE], reason)
            del configs[name]
    outcomes = model.queries.outcomes
    for name, labels in read_labels(train, list(configs), [feature.name for feature in outcomes], model.spec).items():
        if not labels.label.size:
            left_out.add(name, [_BASELINE], "no event of the train log is labelled")
        elif not np.ptp(labels.label):
            left_out.add(name, [_BASELINE], f"all labels of the train log are {labels.label[0]:g}")
        else:
            yield _Task(name, pointwise[name], configs[name], labels, outcome_labels(labels, outcomes))


def _fit_baseline(tasks: Sequence[_Task], model: RecommenderModel, left_out: LeftOut) -> RatingBaseline:
    """Fits the baseline of tasks that share one, to the labels with the most distinct values, which tell the most."""
    lead = max(tasks, key=lambda task: len(np.unique(task.labels.label)))
    labels, spec, missing = lead.labels, model.spec, _MissingParts(lead, model)
    attributes = _attributes(lead, model, missing)
    bias_terms = fit_bias_terms(labels, spec.user_count, spec.item_count, attributes.matrices())
    residual = labels.label - bias_terms.predict(labels.user, labels.item)
    residuals = labels.to_matrix(residual, spec.user_count, spec.item_count)
    tables = {table.name: table for table in _tables(lead, residuals, missing)} if lead.observed else {}
    user_factors = _user_factors(lead, residuals, missing) if lead.observed else None
    session_biases = _session_biases(lead, model, missing)
    damping = lead.config.damping
    baseline = RatingBaseline(bias_terms, lead.observed, tables, user_factors, attributes, session_biases, damping)
    for task in tasks:
        for reason, parts in missing.reasons.items():
            left_out.add(task.name, parts, reason)
        weights = task.config.weights
        if weights is not None:
            weights = {part: weight for part, weight in weights.items() if part in (NETWORK, *baseline.names)}
        baseline.blends[task.name] = Blend.for_task(task.task, float(task.labels.label.mean()), weights)
    return baseline


class _MissingParts:
    """Collects the configured parts that cannot be fitted: without a label outcome, all that read the history.

    Args:
        task: The task that the baseline is fitted to.
        model: The trained model.

    Attributes:
        reasons: Parts by reason.
    """

    def __init__(self, task: _Task, model: RecommenderModel) -> None:
        self._weights = task.config.weights
        self.reasons: dict[str, list[str]] = defaultdict(list)
        if task.observed is None:
            fitted = [part for part in ("cosine", "correlation", "factors") if task.config.looks_for(part)]
            others = *task.config.session_biases, *task.config.attributes_of(model.config.features)
            self.add([*fitted, *others], "no categorical outcome in `features.outcome` tells the labels of a history")

    def add(self, parts: Iterable[str], reason: str) -> None:
        """Adds missing parts, but not those that configured weights leave out."""
        self.reasons[reason] += [part for part in parts if self._weights is None or part in self._weights]


def _attributes(task: _Task, model: RecommenderModel, missing: _MissingParts) -> ItemAttributes:
    """Reads the configured attributes of which at least one item has a value."""
    names, table = task.config.attributes_of(model.config.features), model.candidates.table
    known = item_attributes(names, model.spec.features, table).known_names
    if task.observed:
        missing.add([name for name in names if name not in known], "no item has a value of it")
    return item_attributes(known, model.spec.features, table)


def _session_biases(task: _Task, model: RecommenderModel, missing: _MissingParts) -> Mapping[str, int]:
    if model.config.data.interactions.time:
        return task.config.session_biases
    if task.observed:
        missing.add(task.config.session_biases, "the log has no times")
    return {}


def _tables(task: _Task, residuals: sp.csr_matrix, missing: _MissingParts) -> Iterator[NeighbourTable]:
    """Yields the neighbourhoods that average the residuals of a history, for train residuals float32 [U, V]."""
    config, labels = task.config, task.labels
    if config.looks_for("cosine"):
        links = cosine_links(labels.to_matrix(np.ones(len(labels.label)), *residuals.shape), config.cosine)
        if links.nnz:
            yield NeighbourTable(links, 1.0, name="cosine")
        else:
            missing.add(["cosine"], "no user has labelled two items")
    if config.looks_for("correlation"):
        links = correlation_links(residuals, config.correlation)
        if links.nnz:
            yield NeighbourTable(links, 1.0, name="correlation")
        else:
            missing.add(["correlation"], "no two items have positively correlated labels")


def _user_factors(task: _Task, residuals: sp.csr_matrix, missing: _MissingParts) -> UserFactors | None:
    config, labels = task.config, task.labels
    if not config.looks_for("factors"):
        return None
    if np.abs(residuals.data).mean() <= _EXACT * np.std(labels.label):
        missing.add(["factors"], "the bias terms of users and items explain every label")
        return None
    factors = fit_factors(residuals, labels.interactions(*residuals.shape), config.factors)
    if np.abs(factors.item).max() <= _EXACT * np.sqrt(factors.noise):
        missing.add(["factors"], "the labels show no latent factors")
        return None
    return UserFactors(factors)
