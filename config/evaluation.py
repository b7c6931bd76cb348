"""What is measured, and which metrics a model must reach to be blessed."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.base import Section

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


class Gate(Section):
    """A bound on one metric. A model is blessed when every gate holds."""

    metric: str
    """`ndcg@10`, `recall@100`, `hr@10`, `mrr`, `coverage@10`, or `<task>/<metric>` such as `rating/rmse`."""
    split: Literal["eval", "test"] = "eval"
    min: float | None = None
    max: float | None = None
    max_regression: float | None = Field(default=None, ge=0)
    """How much worse than the latest blessed model it may be. Models that had other tasks, `ks`, `mask_seen` or kinds
    of features are passed over. Nothing to compare with: the gate holds."""

    @model_validator(mode="after")
    def _bounds_something(self) -> "Gate":
        if self.min is None and self.max is None and self.max_regression is None:
            raise ValueError("a gate should have at least one of `min`, `max`, `max_regression`")
        return self


class BaselineGate(Section):
    """The model's margin over recommending the most popular items, measured in the same run."""

    metric: str = "ndcg@10"
    split: Literal["eval", "test"] = "eval"
    margin: float = 0.0
    """Absolute: the model's metric should be at least the baseline's plus this."""


class EvaluationConfig(Section):
    """The evaluation, on the full catalogue."""

    ks: tuple[int, ...] = (10, 100)
    """The lengths K of recall@K, ndcg@K, hr@K, coverage@K, novelty@K and intra_list_distance@K."""
    mask_seen: bool = True
    """A user's own earlier items are not recommended again."""
    cold_items: bool = False
    """Also measure how well items without a positive train event are recommended: `cold_recall@K` and `cold_ndcg@K` of
    the targets among them in the full catalogue, `among_cold_recall@K` and `among_cold_ndcg@K` with only such items
    ranked. Always with `split.cold_items`."""
    slices: tuple[str, ...] = ()
    """Raw example features such as `user_gender`; warm and cold users are always told apart."""
    requests: int = Field(default=500, ge=0)
    """Of about so many windows of a split, those of a seeded sample of users, the metrics are also those of requests in
    the forms that services send: `ids_alone_ndcg@10` (the ids of user and items), `without_request_time_hr@10` (no time
    of its own), `hour_later_...`, `day_later_...`, `month_later_...` (thirty days; after the last event), beside
    `everything_...` of the same users; of tasks `<task>/ids_alone_rmse`, `<task>/ids_alone_auc`, ... 0: none."""
    splits: tuple[Literal["eval", "test"], ...] = ("eval", "test")
    gates: tuple[Gate, ...] = ()
    beat_popularity: BaselineGate | None = BaselineGate()
