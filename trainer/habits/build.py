"""Habits for a trained model."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from pipeline.config.habits import NETWORK, HabitsConfig
from pipeline.config.tasks import PointwiseTask
from trainer.data import WindowData
from trainer.habits.agreement import agreement_links
from trainer.habits.attributes import item_attributes
from trainer.habits.blend import Blend
from trainer.habits.factors import fit_factors
from trainer.habits.habits import Habits
from trainer.habits.labels import TrainLabels, read_labels
from trainer.habits.levels import Levels, fit_levels
from trainer.habits.outcomes import OutcomeLabels, outcome_labels
from trainer.habits.taste import Taste
from trainer.habits.weights import choose_weights
from trainer.model import RecommenderModel
from trainer.neighbours.links import cosine_links
from trainer.neighbours.scores import NeighbourTable
from trainer.windows import WindowSpec


class _Task(NamedTuple):
    """A task with habits, and its labels in the train log; `told`: what the history tells of them."""

    name: str
    task: PointwiseTask
    config: HabitsConfig
    labels: TrainLabels
    told: OutcomeLabels | None

    @property
    def known_from(self) -> Hashable:
        """Tasks for which this is the same count on the same habits."""
        parts = None if self.config.weights is None else frozenset(self.config.weights)
        return self.told.feature if self.told else (self.name,), self.config.model_copy(update={"weights": None}), parts


def build_habits(model: RecommenderModel, train: WindowData, held_out: WindowData | None) -> list[Habits]:
    """Finds the habits of the tasks that predict labels and chooses the parts' weights. Says what it did.

    Args:
        model: trained, without habits.
        train: the windows that it was trained on.
        held_out: the eval split; None where it is empty or trained on.

    Returns:
        Those that a task counts on: none does that has none configured, or nothing left to choose the weights on.
    """
    groups: dict[Hashable, list[_Task]] = defaultdict(list)
    for task in _tasks(model, train, held_out is not None):
        groups[task.known_from].append(task)
    found = [_habits_of(group, model) for group in groups.values()]
    unweighed = [habits for habits in found if any(blend.weights is None for blend in habits.blends.values())]
    if held_out is not None and unweighed:
        choose_weights(model, unweighed, held_out)
    for habits in found:
        habits.blends = {name: blend for name, blend in habits.blends.items() if blend.counts}
    return [habits for habits in found if habits.blends]


def _tasks(model: RecommenderModel, train: WindowData, can_weigh: bool) -> Iterator[_Task]:
    """The tasks that have habits and labels."""
    pointwise = {name: task for name, task in model.config.ranking.items() if isinstance(task, PointwiseTask)}
    configs = {name: task.habits for name, task in pointwise.items() if task.habits}
    configs = {name: config for name, config in configs.items() if can_weigh or config.weights is not None}
    outcomes = model.queries.outcomes
    for name, labels in read_labels(train, list(configs), [feature.name for feature in outcomes], model.spec).items():
        if labels.label.size:
            yield _Task(name, pointwise[name], configs[name], labels, outcome_labels(labels, outcomes))


def _habits_of(tasks: Sequence[_Task], model: RecommenderModel) -> Habits:
    """Made of the task whose labels take the most values: a rating tells more than whether it is high."""
    lead = max(tasks, key=lambda task: len(np.unique(task.labels.label)))
    config, labels, told, spec = lead.config, lead.labels, lead.told, model.spec
    attributes = item_attributes(config.attributes_of(model.config.features), spec.features, model.candidates.table)
    levels = fit_levels(labels, spec.user_count, spec.item_count, attributes.matrices())
    tables, taste = _of_history(config, labels, levels, spec) if told else ({}, None)
    moods = config.moods if model.config.data.interactions.time else {}
    habits = Habits(levels, told, tables, taste, attributes, moods, config.damping)
    habits.blends = {task.name: _blend(task, habits) for task in tasks}
    return habits


def _blend(task: _Task, habits: Habits) -> Blend:
    """With the configured weights of what is there."""
    weights = task.config.weights
    if weights is not None:
        weights = {part: weight for part, weight in weights.items() if part in (NETWORK, *habits.names)}
    return Blend.of(task.task, float(task.labels.label.mean()), weights)


def _of_history(
    config: HabitsConfig, labels: TrainLabels, levels: Levels, spec: WindowSpec
) -> tuple[dict[str, NeighbourTable], Taste | None]:
    """What reads the history's labels."""
    above = labels.by_user(labels.label - levels.of(labels.user, labels.item), spec.user_count, spec.item_count)
    return {table.name: table for table in _tables(config, labels, above)}, _taste(config, labels, above)


def _tables(config: HabitsConfig, labels: TrainLabels, above: sp.csr_matrix) -> Iterator[NeighbourTable]:
    if config.looks_for("cosine"):
        labelled = labels.by_user(np.ones(len(labels.label)), *above.shape)
        yield NeighbourTable(cosine_links(labelled, config.cosine), 1.0, name="cosine")
    if config.looks_for("agreement"):
        yield NeighbourTable(agreement_links(above, config.agreement), 1.0, name="agreement")


def _taste(config: HabitsConfig, labels: TrainLabels, above: sp.csr_matrix) -> Taste | None:
    if not config.looks_for("factors"):
        return None
    return Taste(fit_factors(above, labels.had(*above.shape), config.factors))
