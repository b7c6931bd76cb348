"""What can be wrong with the tasks: their names, and the features that they name."""

import re
from collections.abc import Collection, Iterator
from typing import Final

from config import Config
from config.base import LONGEST_NAME
from config.errors import Location, Problem, suggestion
from config.evaluation import DistanceConfig
from config.tasks import MulticlassTask, PointwiseTask, RatingBaselineConfig
from pipeline.validation.measures import measures, window_measures

MODEL_OUTPUTS: Final = (
    *("item_id", "score", "retrieval_score", "count"),
    *("target_rank", "popularity_rank", "retrieval_weight", "user_key", "target_count", "is_cold_user"),
    *("catalogue_size", "top_items", "popularity_top_items"),
    *("novelty", "popularity_novelty", "intra_list_distance", "popularity_intra_list_distance"),
    *("is_cold_item", "cold_rank", "popularity_cold_rank"),
)
"""Outputs of the exported model: a task's predictions go out beside them by the task's name."""


def check_tasks(config: Config) -> Iterator[Problem]:
    """What is wrong with the tasks by themselves and with what they name."""
    for name in config.tasks:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
            words = f"at most {LONGEST_NAME} lower-case letters, digits and underscores"
            yield ("tasks", name), f"a task's name should be {words}"
        if name in MODEL_OUTPUTS:
            yield ("tasks", name), "this name is taken by an output of the exported model; choose another"
    for name, task in config.tasks.items():
        if isinstance(task, MulticlassTask):
            yield from _classes(name, task, config)
        if isinstance(task, PointwiseTask) and task.baseline:
            yield from _baseline(("tasks", name, "baseline"), task.baseline, config)


def _classes(name: str, task: MulticlassTask, config: Config) -> Iterator[Problem]:
    yield from _attribute(("tasks", name, "attribute"), task.attribute, config)
    if f"{name}_probability" in config.tasks:
        taken = f"this name is taken by an output of the task `{name}`; choose another"
        yield ("tasks", f"{name}_probability"), taken


def _baseline(location: Location, baseline: RatingBaselineConfig, config: Config) -> Iterator[Problem]:
    attributes = baseline.attributes_of(config.features)
    for name in attributes:
        yield from _attribute((*location, "attributes"), name, config)
        if name in baseline.parts:
            yield (*location, "attributes"), f"`{name}` is a part by itself; give the feature another name"
    parts = [*baseline.parts, *attributes]
    for name in baseline.weights or {}:
        if name not in parts:
            found = f"{suggestion(name, parts)}Received: {name!r}"
            yield (*location, "weights"), f"should name parts ({', '.join(parts)}). {found}"


def _attribute(location: Location, name: str, config: Config) -> Iterator[Problem]:
    features = [feature.name for feature in config.features.item if feature.has_vocabulary]
    if name not in features:
        allowed = ", ".join(features) or "none: `features.item` has no such feature"
        kinds = "an item feature of kind `categorical`, `multi_valued` or `text`"
        yield location, f"should name {kinds} ({allowed}). {suggestion(name, features)}Received: {name!r}"


def check_distances(config: Config) -> Iterator[Problem]:
    """What is wrong with `pipeline.drift` and `pipeline.skew`."""
    settings = config.pipeline
    if settings.drift is not None:
        yield from _check(("pipeline", "drift"), settings.drift, config, measures(config))
    if settings.skew is not None:
        yield from _check(("pipeline", "skew"), settings.skew, config, window_measures(config))
        if not settings.skew.splits:
            yield ("pipeline", "skew", "splits"), "should name `eval`, `test` or both. Received: []"


def _check(location: Location, settings: DistanceConfig, config: Config, allowed: Collection[str]) -> Iterator[Problem]:
    if settings.threshold is None and not settings.features and config.pipeline.schema_file is None:
        yield location, "should have `threshold`, `features` or both, or `schema_file` a schema with comparators"
    for name in settings.features:
        if name not in allowed:
            listed = f"should name a feature that distances are measured of ({', '.join(allowed)})"
            yield (*location, "features", name), f"{listed}. {suggestion(name, allowed)}Received: {name!r}"
