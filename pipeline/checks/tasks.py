"""Checks the tasks: their names, and the features that they name."""

import re
from collections.abc import Iterator
from typing import Final

from config import Config
from config.base import LONGEST_NAME
from config.errors import Location, Problem, suggestion
from config.tasks import MulticlassTask, PointwiseTask, RatingBaselineConfig

MODEL_OUTPUTS: Final = (
    *("item_id", "score", "retrieval_score", "count"),
    *("target_rank", "popularity_rank", "retrieval_weight", "user_key", "target_count", "is_cold_user"),
    *("catalogue_size", "top_items", "popularity_top_items", "seen_count"),
    *("novelty", "popularity_novelty", "intra_list_distance", "popularity_intra_list_distance"),
    *("is_cold_item", "cold_rank", "popularity_cold_rank"),
)
"""Outputs of the exported model, beside which a task's predictions have the task's name."""


def check_tasks(config: Config) -> Iterator[Problem]:
    """Returns the problems of the tasks' names and of the features that they name."""
    for name in config.tasks:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(name) > LONGEST_NAME:
            allowed = f"at most {LONGEST_NAME} lower-case letters, digits and underscores"
            yield ("tasks", name), f"a task's name should be {allowed}"
        if name in MODEL_OUTPUTS:
            yield ("tasks", name), "this name is taken by an output of the exported model; choose another"
    for name, task in config.tasks.items():
        if isinstance(task, MulticlassTask):
            yield from _attribute(("tasks", name, "attribute"), task.attribute, config)
            if (output := f"{name}_probability") in config.tasks:
                yield ("tasks", output), f"this name is taken by an output of the task `{name}`; choose another"
        if isinstance(task, PointwiseTask) and task.baseline:
            yield from _baseline(("tasks", name, "baseline"), task.baseline, config)


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
