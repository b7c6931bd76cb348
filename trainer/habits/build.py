"""Habits for a trained model."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from pipeline import layout
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
from trainer.model import RecommenderModel
from trainer.neighbours.links import cosine_links
from trainer.neighbours.scores import NeighbourTable
from trainer.windows import Window, WindowSpec

_ALONE = {NETWORK: 1.0}
_BATCH_SIZE, _BATCHES = 128, 160
"""The weights are few: about 20,000 eval windows tell them well."""


def build_habits(model: RecommenderModel, train: WindowData, held_out: WindowData | None) -> dict[str, Habits]:
    """Finds the habits of the tasks that predict labels and chooses the parts' weights. Says what it did.

    Args:
        model: trained, without habits.
        train: the windows that it was trained on.
        held_out: the eval split; None where it is empty or trained on.

    Returns:
        By task; those are missing that have none configured, or nothing left to choose the weights on.
    """
    tasks = {name: task for name, task in model.config.ranking.items() if isinstance(task, PointwiseTask)}
    found = {name: _habits_of(name, task, model, train, held_out) for name, task in tasks.items()}
    return {name: habits for name, habits in found.items() if habits is not None}


def _habits_of(
    name: str, task: PointwiseTask, model: RecommenderModel, train: WindowData, held_out: WindowData | None
) -> Habits | None:
    if task.habits is None or (task.habits.weights is None and held_out is None):
        return None
    outcomes = model.queries.outcomes
    labels = read_labels(train, name, [feature.name for feature in outcomes], model.spec)
    if not labels.label.size:
        return None
    told = outcome_labels(labels, outcomes)
    names = task.habits.attributes_of(model.config.features)
    attributes = item_attributes(names, model.spec.features, model.candidates.table)
    levels = fit_levels(labels, model.spec.user_count, model.spec.item_count, attributes.matrices())
    tables, taste = _of_history(task.habits, labels, levels, model.spec) if told else ({}, None)
    moods = task.habits.moods if model.config.data.interactions.time else {}
    habits = Habits(task, levels, told, tables, taste, attributes, moods, _ALONE)
    return _weighted(habits, name, task.habits, model, held_out)


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


def _weighted(
    habits: Habits, name: str, config: HabitsConfig, model: RecommenderModel, held_out: WindowData | None
) -> Habits | None:
    """The same habits with the configured weights, or those that fit the eval split best."""
    if config.weights is not None:
        habits.weights = {part: w for part, w in config.weights.items() if part in (NETWORK, *habits.names)}
    elif held_out is not None:
        habits.weights = _chosen(habits, name, model, held_out)
    return None if habits.weights in ({}, _ALONE) else habits


def _chosen(habits: Habits, name: str, model: RecommenderModel, held_out: WindowData) -> dict[str, float]:
    parts, label = _eval_parts(habits, name, model, held_out)
    if not label.size:
        return dict(_ALONE)
    link, start = habits.link, habits.start
    weights = link.weights(parts, label, start)
    before, after = (link.error(start + parts @ w, label) for w in (np.eye(len(weights))[0], weights))
    chosen = dict(zip((NETWORK, *habits.names), weights.tolist(), strict=True))
    said = ", ".join(f"{part} {weight:.3g}" for part, weight in chosen.items())
    print(f"{name}: {said}; {link.measure} on eval {before:.4f} -> {after:.4f}")
    return chosen


def _eval_parts(
    habits: Habits, name: str, model: RecommenderModel, held_out: WindowData
) -> tuple[np.ndarray, np.ndarray]:
    """Network and other parts [E, P] and label [E] of the labelled eval targets."""
    batches = held_out.evaluation_batches(_BATCH_SIZE).take(_BATCHES)

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def answers(window: Window) -> tuple[tf.Tensor, tf.Tensor]:
        state, item = model.encode(window).newest(), window[layout.ITEM_ID][:, -1:]
        parts = habits.parts(model.rank(state, item)[name], state, item)
        columns = tf.concat([parts[part] for part in (NETWORK, *habits.names)], axis=1)
        is_labelled = window[layout.weight(name)][:, -1] > 0
        return tf.boolean_mask(columns, is_labelled), tf.boolean_mask(window[layout.label(name)][:, -1], is_labelled)

    parts, labels = zip(*map(answers, batches), strict=True)
    return np.concatenate(parts).astype(np.float64), np.concatenate(labels).astype(np.float64)
