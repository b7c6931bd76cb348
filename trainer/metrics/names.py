"""The names of the evaluation's metrics, and the gates that a configuration may put on them.

Imports neither TensorFlow nor TFX: the command line checks a configuration with it before any work starts.
"""

from typing import Final, Literal

from config import Config
from config.evaluation import BaselineGate, Gate
from config.feature_names import context_feature, user_feature
from trainer.metrics.request_forms import request_ranking_metrics, request_task_metrics, without_form

Direction = Literal["higher", "lower"]

USERS: Final = "users"
EXAMPLES: Final = "example_count"
POPULARITY: Final = "popularity_"
LIFT: Final = "lift_"
STANDARD_ERROR: Final = "stderr_"
COLD_PREFIXES: Final = ("cold_", "among_cold_")
COLD_USERS: Final = "cold_item_users"
MAX_TOP_ITEMS: Final = 100
"""The length of the exported model's list of best items: coverage@K exists up to this K."""

BINARY_METRICS: Final = ("auc", "log_loss", "accuracy", "precision", "recall", "f1", "calibration")
REGRESSION_METRICS: Final = ("rmse", "mae")
MULTICLASS_METRICS: Final = ("accuracy", "log_loss")
ORDER_METRICS: Final = ("pairwise_accuracy", "ndcg")
TASK_METRICS: Final[dict[str, tuple[str, ...]]] = {
    "binary": BINARY_METRICS,
    "regression": REGRESSION_METRICS,
    "multiclass": MULTICLASS_METRICS,
    "pairwise": ORDER_METRICS,
    "listwise": ORDER_METRICS[::-1],
}
"""By the task's kind, the most informative one first."""
_LOWER_IS_BETTER: Final = ("log_loss", "rmse", "mae")


def ranking_metrics(ks: tuple[int, ...]) -> list[str]:
    """Returns the names of the metrics that are averaged over users: recall@K, ndcg@K, hr@K for every K, and mrr."""
    return [f"{metric}@{k}" for metric in ("recall", "ndcg", "hr") for k in ks] + ["mrr"]


def coverage_metrics(ks: tuple[int, ...]) -> list[str]:
    """Returns the names of coverage@K, for the K that the exported model's list of best items reaches."""
    return [f"coverage@{k}" for k in ks if k <= MAX_TOP_ITEMS]


def list_metrics(config: Config) -> list[str]:
    """Returns the names of novelty@K and, where items have categorical features, intra_list_distance@K."""
    is_compared = any(feature.form != "number" for feature in config.features.item)
    metrics = ("novelty", "intra_list_distance") if is_compared else ("novelty",)
    return [f"{metric}@{k}" for metric in metrics for k in config.evaluation.ks if k <= MAX_TOP_ITEMS]


def cold_item_metrics(ks: tuple[int, ...]) -> list[str]:
    """Returns the names of the metrics of cold items: in the full catalogue, and among cold items only."""
    return [f"{prefix}{metric}@{k}" for prefix in COLD_PREFIXES for metric in ("recall", "ndcg") for k in ks]


def index_recall_metric(config: Config) -> str | None:
    """Returns the name of the index recall, None where the index is exact.

    It is the share of the exact search's best K, the largest of `evaluation.ks` up to 100, that the served index finds.
    """
    ks = config.evaluation.ks
    return f"index_recall@{min(max(ks), MAX_TOP_ITEMS)}" if ks and config.has_approximate_index else None


def known_metrics(config: Config) -> list[str]:
    """Returns the metrics that a gate may name: `ndcg@10`, `lift_ndcg@10`, `users`, `rating/rmse`, ..."""
    names: list[str] = []
    if config.retrieval is not None:
        measured = ranking_metrics(config.evaluation.ks) + coverage_metrics(config.evaluation.ks)
        names += [*measured, *(POPULARITY + name for name in measured), *(LIFT + name for name in measured), USERS]
        names += [kind + name for name in list_metrics(config) for kind in ("", POPULARITY)]
    if config.evaluates_cold_items:
        measured = cold_item_metrics(config.evaluation.ks)
        names += [kind + name for kind in ("", POPULARITY, LIFT) for name in measured] + [COLD_USERS]
    index_recall = index_recall_metric(config)
    names += [] if index_recall is None else [index_recall]
    for task, settings in config.events.items():
        names += [f"{task}/{metric}" for metric in TASK_METRICS[settings.kind]]
    return names + request_ranking_metrics(config) + request_task_metrics(config)


def task_metrics(config: Config) -> list[str]:
    """Returns the most informative metric of each task but retrieval: `rating/rmse`, `like/auc`, ..."""
    return [f"{task}/{TASK_METRICS[settings.kind][0]}" for task, settings in config.events.items()]


def direction(metric: str) -> Direction | None:
    """Returns which way the metric is better; None where neither way is (calibration is best at 1)."""
    name = without_form(metric).rsplit("/", 1)[-1]
    if name == "calibration":
        return None
    return "lower" if name in _LOWER_IS_BETTER else "higher"


def baseline_gate(config: Config) -> BaselineGate | None:
    """Returns the gate on the margin over popularity, or None.

    Where the configuration does not set one, it is NDCG at the first of `evaluation.ks` on the first of
    `evaluation.splits`, and there is none without a retrieval task.
    """
    settings = config.evaluation
    if "beat_popularity" in settings.model_fields_set:
        return settings.beat_popularity
    if config.retrieval is None or not settings.ks:
        return None
    return BaselineGate(metric=f"ndcg@{settings.ks[0]}", split=settings.splits[0])


def main_metric(config: Config) -> tuple[str, str]:
    """Returns the metric and the split that sum the evaluation up.

    These are those of the margin over popularity; without it NDCG at the first K; without a retrieval task the first
    metric of the first ranking task.
    """
    gate = baseline_gate(config)
    if gate is not None:
        return gate.metric, gate.split
    if config.retrieval is not None:
        return f"ndcg@{config.evaluation.ks[0]}", config.evaluation.splits[0]
    return known_metrics(config)[0], config.evaluation.splits[0]


def check_gates(config: Config) -> list[str]:
    """Checks `evaluation`: gates on unknown metrics or splits, bounds that contradict, features that cannot slice.

    Returns:
        One message for each error, with key, received and allowed values; empty when there is none.
    """
    settings = config.evaluation
    errors = _check_lengths_and_splits(config)
    if errors:
        return errors
    known = known_metrics(config)
    named = [(f"evaluation.gates.{index}", gate.metric, gate.split, known) for index, gate in enumerate(settings.gates)]
    margin = settings.beat_popularity if "beat_popularity" in settings.model_fields_set else None
    if margin is not None:
        compared = [name for name in known if LIFT + name in known]
        named.append(("evaluation.beat_popularity", margin.metric, margin.split, compared))
    for key, metric, split, allowed in named:
        errors += _check_names(config, key, metric, split, allowed)
    for index, gate in enumerate(settings.gates):
        errors += _check_bounds(f"evaluation.gates.{index}", gate)
    return errors + _check_slices(config)


def sliceable_features(config: Config) -> dict[str, bool]:
    """Returns the raw features that may slice the evaluation, each with whether it is one of the event."""
    users = {user_feature(f.name): False for f in config.features.user if f.is_sliceable}
    context = {context_feature(f.name): True for f in config.features.context if f.is_sliceable}
    return users | context


def _check_lengths_and_splits(config: Config) -> list[str]:
    errors = []
    ks, splits = config.evaluation.ks, config.evaluation.splits
    if not splits or len(set(splits)) < len(splits):
        errors.append(f"`evaluation.splits` should name `eval`, `test` or both. Received: {list(splits)}")
    if config.retrieval is not None and (not ks or min(ks) < 1 or len(set(ks)) < len(ks)):
        errors.append(f"`evaluation.ks` should be distinct positive integers, at least one. Received: {list(ks)}")
    return errors


def _check_names(config: Config, key: str, metric: str, split: str, allowed: list[str]) -> list[str]:
    errors, splits = [], list(config.evaluation.splits)
    task, _, name = metric.rpartition("/")
    if metric not in allowed:
        reason = f"allowed: {', '.join(allowed)}" if allowed else "no task has such a metric"
        errors.append(f"`{key}.metric` should be a metric of this configuration ({reason}). Received: {metric!r}")
    elif task in config.events and name in ORDER_METRICS and config.split.method == "leave_last_out":
        # These compare a user's targets with each other.
        errors.append(
            f"`{key}.metric` needs several targets of a user, and `leave_last_out` has one. Received: {metric!r}"
        )
    if split not in splits:
        errors.append(f"`{key}.split` should be among `evaluation.splits` {splits}. Received: {split!r}")
    return errors


def _check_bounds(key: str, gate: Gate) -> list[str]:
    errors = []
    if gate.max_regression is not None and direction(gate.metric) is None:
        errors.append(f"`{key}.max_regression` needs a metric with a better direction. Received: {gate.metric!r}")
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        errors.append(f"`{key}.min` should not be above `max`. Received: {gate.min} > {gate.max}")
    return errors


def _check_slices(config: Config) -> list[str]:
    allowed = sliceable_features(config)
    names = ", ".join(allowed) or "none: the configuration has no such feature"
    return [
        f"`evaluation.slices` should name categorical features of users or contexts ({names}). Received: {name!r}"
        for name in config.evaluation.slices
        if name not in allowed
    ]
