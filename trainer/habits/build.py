"""Habits for a trained model."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from pipeline.config.habits import NETWORK, HabitsConfig
from pipeline.config.tasks import PointwiseTask
from trainer.data import WindowData
from trainer.habits.agreement import agreement_links
from trainer.habits.attributes import item_attributes
from trainer.habits.factors import fit_factors
from trainer.habits.habits import Habits
from trainer.habits.labels import TrainLabels, read_labels
from trainer.habits.levels import Levels, fit_levels
from trainer.habits.outcomes import outcome_labels
from trainer.habits.taste import Taste
from trainer.habits.weights import choose_weights
from trainer.model import RecommenderModel
from trainer.neighbours.links import cosine_links
from trainer.neighbours.scores import NeighbourTable
from trainer.windows import WindowSpec

_ALONE = {NETWORK: 1.0}


def build_habits(model: RecommenderModel, train: WindowData, held_out: WindowData | None) -> dict[str, Habits]:
    """Finds the habits of the tasks that predict labels and chooses the parts' weights. Says what it did.

    Args:
        model: trained, without habits.
        train: the windows that it was trained on.
        held_out: the eval split; None where it is empty or trained on.

    Returns:
        By task; those are missing that have none configured, or nothing left to choose the weights on.
    """
    found = dict(_found(model, train, held_out is not None))
    unweighed = {name: habits for name, habits in found.items() if habits.weights is None}
    if held_out is not None and unweighed:
        for name, weights in choose_weights(model, unweighed, held_out):
            found[name].weights = weights
    return {name: habits for name, habits in found.items() if habits.weights not in (None, {}, _ALONE)}


def _found(model: RecommenderModel, train: WindowData, can_weigh: bool) -> Iterator[tuple[str, Habits]]:
    """The tasks' habits, with the configured weights or with none."""
    for name, task in model.config.ranking.items():
        if isinstance(task, PointwiseTask) and task.habits and (can_weigh or task.habits.weights is not None):
            labels = read_labels(train, name, [feature.name for feature in model.queries.outcomes], model.spec)
            if labels.label.size:
                yield name, _habits_of(task, task.habits, labels, model)


def _habits_of(task: PointwiseTask, config: HabitsConfig, labels: TrainLabels, model: RecommenderModel) -> Habits:
    told = outcome_labels(labels, model.queries.outcomes)
    names = config.attributes_of(model.config.features)
    attributes = item_attributes(names, model.spec.features, model.candidates.table)
    levels = fit_levels(labels, model.spec.user_count, model.spec.item_count, attributes.matrices())
    tables, taste = _of_history(config, labels, levels, model.spec) if told else ({}, None)
    moods = config.moods if model.config.data.interactions.time else {}
    habits = Habits(task, levels, told, tables, taste, attributes, moods)
    if config.weights is not None:
        habits.weights = {part: w for part, w in config.weights.items() if part in (NETWORK, *habits.names)}
    return habits


def _of_history(
    config: HabitsConfig, labels: TrainLabels, levels: Levels, spec: WindowSpec
) -> tuple[dict[str, NeighbourTable], Taste | None]:
    """What reads the history's labels."""
    above = labels.by_user(labels.label - levels.of(labels.user, labels.item), spec.user_count, spec.item_count)
    return {table.name: table for table in _tables(config, labels, above)}, _taste(config, labels, above)


def _tables(config: HabitsConfig, labels: TrainLabels, above: sp.csr_matrix) -> Iterator[NeighbourTable]:
    if _counts(config, "cosine"):
        labelled = labels.by_user(np.ones(len(labels.label)), *above.shape)
        yield NeighbourTable(cosine_links(labelled, config.cosine), 1.0, name="cosine")
    if _counts(config, "agreement"):
        yield NeighbourTable(agreement_links(above, config.agreement), 1.0, name="agreement")


def _taste(config: HabitsConfig, labels: TrainLabels, above: sp.csr_matrix) -> Taste | None:
    if not _counts(config, "factors"):
        return None
    return Taste(fit_factors(above, labels.had(*above.shape), config.factors))


def _counts(config: HabitsConfig, part: str) -> bool:
    """Whether the part is there; what configured weights leave out is not looked for."""
    return getattr(config, part) > 0 and (config.weights is None or part in config.weights)
