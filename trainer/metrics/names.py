"""The metrics that the evaluation computes, by name, and the gates that a configuration may put on them.

Imports neither TensorFlow nor TFX: the command line checks a configuration with it before any work.
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
COLD_PLACES: Final = ("cold_", "among_cold_")
COLD_USERS: Final = "cold_item_users"
MAX_TOP_ITEMS: Final = 100
"""The exported model lists so many best items: coverage@K exists up to this K."""

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
"""By the task's kind, the one that tells most first."""
_LOWER_IS_BETTER: Final = ("log_loss", "rmse", "mae")


def ranking_metrics(ks: tuple[int, ...]) -> list[str]:
    """The names of the metrics that are averaged over users: recall@K, ndcg@K, hr@K for every K, and mrr."""
    return [f"{metric}@{k}" for metric in ("recall", "ndcg", "hr") for k in ks] + ["mrr"]


def coverage_metrics(ks: tuple[int, ...]) -> list[str]:
    """The names of coverage@K, for the K that the exported model's list of best items reaches."""
    return [f"coverage@{k}" for k in ks if k <= MAX_TOP_ITEMS]


def list_metrics(config: Config) -> list[str]:
    """The names of novelty@K and, where items have categorical features, intra_list_distance@K."""
    is_compared = any(feature.form != "number" for feature in config.features.item)
    metrics = ("novelty", "intra_list_distance") if is_compared else ("novelty",)
    return [f"{metric}@{k}" for metric in metrics for k in config.evaluation.ks if k <= MAX_TOP_ITEMS]


def cold_item_metrics(ks: tuple[int, ...]) -> list[str]:
    """The names of the metrics of cold items: in the full catalogue, and among such items only."""
    return [f"{position}{metric}@{k}" for position in COLD_PLACES for metric in ("recall", "ndcg") for k in ks]


def index_recall_metric(config: Config) -> str | None:
    """The share of the exact search's best K, the largest of `evaluation.ks` up to 100, that the served index finds.

    None where the index is exact.
    """
    ks = config.evaluation.ks
    return f"index_recall@{min(max(ks), MAX_TOP_ITEMS)}" if ks and config.has_approximate_index else None


def known_metrics(config: Config) -> list[str]:
    """The metrics that a gate may name: `ndcg@10`, `lift_ndcg@10`, `coverage@10`, `users`, `rating/rmse`, ..."""
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
    """The metric that tells most of each task but retrieval: `rating/rmse`, `like/auc`, ..."""
    return [f"{task}/{TASK_METRICS[settings.kind][0]}" for task, settings in config.events.items()]


def direction(metric: str) -> Direction | None:
    """Which way the metric is better; None where neither way is (calibration is best at 1)."""
    name = without_form(metric).rsplit("/", 1)[-1]
    if name == "calibration":
        return None
    return "lower" if name in _LOWER_IS_BETTER else "higher"


def baseline_gate(config: Config) -> BaselineGate | None:
    """The gate on the margin over popularity, or None.

    Where the file does not set one, it is NDCG at the first of `evaluation.ks` on the first of `evaluation.splits`,
    and there is none without a retrieval task.
    """
    settings = config.evaluation
    if "beat_popularity" in settings.model_fields_set:
        return settings.beat_popularity
    if config.retrieval is None or not settings.ks:
        return None
    return BaselineGate(metric=f"ndcg@{settings.ks[0]}", split=settings.splits[0])


def main_metric(config: Config) -> tuple[str, str]:
    """The metric and the split that stand for the whole evaluation: those of the margin over popularity; without it
    NDCG at the first K; without a retrieval task the first metric of the first ranking task."""
    gate = baseline_gate(config)
    if gate is not None:
        return gate.metric, gate.split
    if config.retrieval is not None:
        return f"ndcg@{config.evaluation.ks[0]}", config.evaluation.splits[0]
    return known_metrics(config)[0], config.evaluation.splits[0]


def check_gates(config: Config) -> list[str]:
    """Says what is wrong with `evaluation`: gates on unknown metrics or splits, slices that cannot be cut.

    Returns:
      One message for each error, with key, found and allowed values; empty when all is well.
    """
    errors = _check_basics(config)
    if errors:
        return errors
    for index, gate in enumerate(config.evaluation.gates):
        errors += _check_gate(config, f"evaluation.gates.{index}", gate)
    margin = config.evaluation.beat_popularity if "beat_popularity" in config.evaluation.model_fields_set else None
    if margin is not None:
        errors += _check_margin(config, margin)
    return errors + _check_slices(config)


def sliceable_features(config: Config) -> dict[str, bool]:
    """The raw features that may slice the evaluation, each with whether it is one of the event."""
    users = {user_feature(f.name): False for f in config.features.user if f.is_sliceable}
    context = {context_feature(f.name): True for f in config.features.context if f.is_sliceable}
    return users | context


def _check_basics(config: Config) -> list[str]:
    errors = []
    ks, splits = config.evaluation.ks, config.evaluation.splits
    if not splits or len(set(splits)) < len(splits):
        errors.append(f"`evaluation.splits` should name `eval`, `test` or both. Received: {list(splits)}")
    if config.retrieval is not None and (not ks or min(ks) < 1 or len(set(ks)) < len(ks)):
        errors.append(f"`evaluation.ks` should be distinct positive integers, at least one. Received: {list(ks)}")
    return errors


def _check_gate(config: Config, key: str, gate: Gate) -> list[str]:
    errors = [*_check_metric(config, key, gate.metric, known_metrics(config)), *_check_split(config, key, gate.split)]
    errors += _check_order(config, key, gate.metric)
    if gate.max_regression is not None and direction(gate.metric) is None:
        errors.append(f"`{key}.max_regression` needs a metric with a better direction. Received: {gate.metric!r}")
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        errors.append(f"`{key}.min` should not be above `max`. Received: {gate.min} > {gate.max}")
    return errors


def _check_margin(config: Config, gate: BaselineGate) -> list[str]:
    key, known = "evaluation.beat_popularity", known_metrics(config)
    compared = [name for name in known if LIFT + name in known]
    return [*_check_metric(config, key, gate.metric, compared), *_check_split(config, key, gate.split)]


def _check_metric(config: Config, key: str, metric: str, allowed: list[str]) -> list[str]:
    if metric in allowed:
        return []
    reason = "no task has such a metric" if not allowed else f"allowed: {', '.join(allowed)}"
    return [f"`{key}.metric` should be a metric of this configuration ({reason}). Received: {metric!r}"]


def _check_order(config: Config, key: str, metric: str) -> list[str]:
    """What compares a user's targets with each other is undefined where each user has one."""
    task, _, name = metric.rpartition("/")
    is_order = task in config.events and name in ORDER_METRICS and metric in known_metrics(config)
    if config.split.method != "leave_last_out" or not is_order:
        return []
    return [f"`{key}.metric` needs several targets of a user, and `leave_last_out` has one. Received: {metric!r}"]


def _check_split(config: Config, key: str, split: str) -> list[str]:
    if split in config.evaluation.splits:
        return []
    return [f"`{key}.split` should be among `evaluation.splits` {list(config.evaluation.splits)}. Received: {split!r}"]


def _check_slices(config: Config) -> list[str]:
    allowed = sliceable_features(config)
    names = ", ".join(allowed) or "none: the configuration has no such feature"
    return [
        f"`evaluation.slices` should name categorical features of users or contexts ({names}). Received: {name!r}"
        for name in config.evaluation.slices
        if name not in allowed
    ]
