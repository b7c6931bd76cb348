"""Whether a metric of the eval split got better."""

import math
from collections.abc import Mapping, Sequence

Metrics = Mapping[str, float]
_LOWER_IS_BETTER = ("loss", "rmse")


def is_lower_better(metric: str) -> bool:
    """Whether a metric of this name should fall: losses and errors."""
    return metric.endswith(_LOWER_IS_BETTER)


def is_better(metric: str, value: float, best: float) -> bool:
    """Whether a metric is above (or, for losses, below) the best so far, NaN before there is one."""
    return math.isnan(best) or (value < best if is_lower_better(metric) else value > best)


def default_metric(evaluation: Metrics, ks: Sequence[int]) -> str:
    """NDCG of the longest list where the eval split gives it, else the loss."""
    ndcg = f"ndcg@{max(ks)}"
    return ndcg if ndcg in evaluation else "loss"


def metric_of(evaluation: Metrics, metric: str, key: str) -> float:
    """The metric that a key of the configuration names; raises ValueError where the eval split does not give it."""
    if metric not in evaluation:
        raise ValueError(
            f"`{key}` should be one of {', '.join(evaluation) or 'none (no eval split)'}. Received: {metric}"
        )
    return evaluation[metric]
