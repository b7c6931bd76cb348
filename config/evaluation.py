"""What is measured, and the thresholds at which a model is blessed."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.base import Section

Threshold = Annotated[float, Field(ge=0, le=1)]


class DistanceConfig(Section):
    """The common settings of drift and skew."""

    threshold: Threshold | None = None
    """The maximum distance of all features that neither `features` nor a comparator in `schema_file` names. Defaults to
    no comparison of them. Distances are in [0, 1]. For ids, categories and multiple values, the distance is the
    L-infinity norm: the largest difference in the share of any one value, among the 1000 most frequent. For numbers,
    labels and `is_positive` it is the Jensen-Shannon divergence to base 2 of their deciles. Texts and times have none.
    Missing values are not counted."""
    features: dict[str, Threshold] = Field(default_factory=dict)
    """Thresholds of single features by their name in the examples: `item_id`, `user_age`, `context_device`. 1 allows
    any distance."""
    stop: bool = True
    """Whether a distance above its threshold stops the run, before Transform. `false`: it is only reported."""


class DriftConfig(DistanceConfig):
    """Drift: the splits `train` and `items` are compared with those of the newest earlier run whose model was blessed.

    On Kubeflow Pipelines, the earlier run's model was pushed, too; on Vertex AI, they are compared with the newest
    earlier statistics. The first run has nothing to be compared with, and passes.
    """


class SkewConfig(DistanceConfig):
    """Skew: other splits of the same run are compared with `train`."""

    splits: tuple[Literal["eval", "test"], ...] = ("eval", "test")
    """The compared splits. Their examples include the history, which for most users is a part of `train`."""


class Gate(Section):
    """A bound on one metric. A model is blessed if every gate holds."""

    metric: str
    """`ndcg@10`, `recall@100`, `hr@10`, `mrr`, `coverage@10`, or `<task>/<metric>` such as `rating/rmse`."""
    split: Literal["eval", "test"] = "eval"
    """The split that the metric is computed on."""
    min: float | None = None
    """The minimum value."""
    max: float | None = None
    """The maximum value."""
    max_regression: float | None = Field(default=None, ge=0)
    """By how much the metric may be worse than the latest blessed model's. Models with other tasks, `ks`, `mask_seen`
    or kinds of features are not compared; see `incomparable_baseline`. The gate holds where no model was blessed
    before."""

    @model_validator(mode="after")
    def _bounds_something(self) -> "Gate":
        if self.min is None and self.max is None and self.max_regression is None:
            raise ValueError("a gate should have at least one of `min`, `max`, `max_regression`")
        return self


class BaselineGate(Section):
    """The model's margin over recommending the most popular items, measured in the same run."""

    metric: str = "ndcg@10"
    """The metric."""
    split: Literal["eval", "test"] = "eval"
    """The split that the metric is computed on."""
    margin: float = 0.0
    """The minimum absolute difference of the model's metric from the baseline's."""


class EvaluationConfig(Section):
    """The evaluation, on the full catalogue."""

    ks: tuple[int, ...] = (10, 100)
    """The lengths K of recall@K, ndcg@K, hr@K, coverage@K, novelty@K and intra_list_distance@K."""
    mask_seen: bool = True
    """Whether a user's own earlier items are excluded from recommendations."""
    cold_items: bool = False
    """Whether to measure how well items without a positive train event are recommended: `cold_recall@K` and
    `cold_ndcg@K` of such targets in the full catalogue, and `among_cold_recall@K` and `among_cold_ndcg@K` among such
    items only. Always with `split.cold_items`."""
    slices: tuple[str, ...] = ()
    """Raw example features such as `user_gender`. Warm and cold users are always separate slices."""
    min_slice_users: int = Field(default=1, ge=1)
    """The number of users that a slice needs (k-anonymity): all values of a feature that fewer users of a split have,
    warm or cold ones, are one slice, `other (fewer than 5 users)`, or none where also together they have too few. 1:
    every slice is shown."""
    requests: int = Field(default=500, ge=0)
    """The approximate number of windows of a split, of a seeded sample of users, that are also evaluated as requests in
    the forms that services send: `ids_alone_ndcg@10` (the ids of user and items only), `without_request_time_hr@10` (no
    request time), `hour_later_...`, `day_later_...`, `month_later_...` (thirty days; after the last event), beside
    `everything_...` for the same users; for tasks `<task>/ids_alone_rmse`, `<task>/ids_alone_auc`, ... 0: none."""
    splits: tuple[Literal["eval", "test"], ...] = ("eval", "test")
    """The splits that are evaluated."""
    incomparable_baseline: Literal["fail", "ignore"] = "fail"
    """What happens if a gate has a `max_regression`, models were blessed before, and none of them can be compared.
    `fail`: the run stops before the evaluation, and a later one goes on from there. `ignore`: the gates hold as on a
    first run."""
    max_users: int | None = Field(default=None, ge=2)
    """The number of users of each split that are evaluated at most: a random sample, the same for every model and gate
    (seed: `split.seed`). All their windows count, and the metrics' standard errors (`stderr_...`) say how exact the
    sample is, except of `coverage@K`, which falls with the number of users. Defaults to all users."""
    gates: tuple[Gate, ...] = ()
    """The conditions of a blessing."""
    beat_popularity: BaselineGate | None = BaselineGate()
    """A gate against the popularity baseline. `null`: none."""
