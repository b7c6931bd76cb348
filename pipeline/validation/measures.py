"""The distance by which the distributions of each raw feature are compared. Imports neither TensorFlow nor TFX."""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from config import Config, feature_names
from config.features import Feature
from config.tasks import LabelledTask

Kind = Literal["drift", "skew"]
"""`drift` compares with an earlier run, `skew` compares splits of one run."""

Measure = Literal["L-infinity distance", "Jensen-Shannon divergence"]
L_INFINITY: Final = "L-infinity distance"
JENSEN_SHANNON: Final = "Jensen-Shannon divergence"


def measures(config: Config) -> dict[str, Measure]:
    """Returns the measure of every raw feature that has one, by its name in the examples, of all splits.

    Texts have none, as nearly every text is unique, and times have none, as those of another span differ by nature.
    Neither have sessions, whose ids are always new, and the features that ingest adds.
    """
    return {**window_measures(config), **dict(_of_section(config.features.item, feature_names.item_feature))}


def window_measures(config: Config) -> dict[str, Measure]:
    """Returns the measures of the splits `train`, `eval` and `test`; see `measures`."""
    features = config.features
    labels = [feature_names.label(name) for name, task in config.events.items() if isinstance(task, LabelledTask)]
    return {
        feature_names.USER_ID: L_INFINITY,
        feature_names.ITEM_ID: L_INFINITY,
        **dict(_of_section(features.user, feature_names.user_feature)),
        **dict(_of_section(features.context, feature_names.context_feature)),
        **dict(_of_section(features.outcome, feature_names.outcome_feature)),
        feature_names.IS_POSITIVE: JENSEN_SHANNON,
        **dict.fromkeys(labels, JENSEN_SHANNON),
    }


def _of_section(features: tuple[Feature, ...], in_examples: Callable[[str], str]) -> Iterator[tuple[str, Measure]]:
    for feature in features:
        if feature.divergence is not None:
            yield from ((in_examples(name), feature.divergence) for name in feature.raw_names)
