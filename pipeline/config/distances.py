"""How far the distributions of raw features may be from those that they are compared with."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.base import Section

Threshold = Annotated[float, Field(ge=0, le=1)]


class DistanceConfig(Section):
    """What drift and skew have in common."""

    threshold: Threshold | None = None
    """A longer distance is too far, of every feature that neither `features` nor a comparator in `schema_file` names.
    Missing: no other feature is compared. Distances are from 0, the same, to 1, nothing in common. Of ids, categories
    and multiple values: L-infinity, the largest difference of any one value's share, of the 1000 most frequent. Of
    numbers, labels and `is_positive`: the Jensen-Shannon divergence to base 2, of their deciles. Of texts and times:
    none. Values that are absent do not count."""
    features: dict[str, Threshold] = Field(default_factory=dict)
    """Thresholds of single features by their name in the examples: `item_id`, `user_age`, `context_device`. No distance
    is longer than 1."""
    stop: bool = True
    """Whether a distance that is too far stops the run, before Transform. `false`: it is reported only."""


class DriftConfig(DistanceConfig):
    """Drift: the splits `train` and `items` against those of the newest earlier run whose model was blessed.

    Kubeflow can only look for the newest earlier statistics. The first run has nothing to be compared with, and passes.
    """


class SkewConfig(DistanceConfig):
    """Skew: other splits of the same run against `train`."""

    splits: tuple[Literal["eval", "test"], ...] = ("eval", "test")
    """Their examples hold the history too, which of most users is a part of `train`."""
