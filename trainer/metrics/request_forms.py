"""The forms of requests that services send: what a request leaves out, or how long after the last event it comes.

Imports neither TensorFlow nor TFX. The exported model's `evaluate` answers for each form beside the whole request.
"""

from collections.abc import Mapping
from typing import Final

from config import Config
from config.tasks import BinaryTask, RegressionTask

EVERYTHING: Final = "everything"
WITHOUT_REQUEST_TIME: Final = "without_request_time"
IDS_ALONE: Final = "ids_alone"
LATER: Final[Mapping[str, int]] = {"hour_later": 3600, "day_later": 86_400, "month_later": 30 * 86_400}
"""Seconds between the last event and the request."""

WORDS: Final[Mapping[str, str]] = {
    EVERYTHING: "everything",
    WITHOUT_REQUEST_TIME: "all but the request's own time",
    IDS_ALONE: "ids of user and items alone",
    "hour_later": "everything, an hour after the last event",
    "day_later": "everything, a day after the last event",
    "month_later": "everything, thirty days after the last event",
}
"""What a request of each form brings."""

REQUEST_RANK: Final = "request_rank"
"""The output of `evaluate` with the target's rank in each form; NaN for users outside the sample."""
_METRICS: Final[Mapping[type[object], str]] = {RegressionTask: "rmse", BinaryTask: "auc"}


def request_forms(config: Config) -> tuple[str, ...]:
    """Returns the forms that differ, the whole request first; none where `evaluation.requests` is 0."""
    if not config.evaluation.requests:
        return ()
    if config.data.interactions.time is not None:
        return tuple(WORDS)
    features = config.features
    return (EVERYTHING, IDS_ALONE) if features.user or features.context or features.outcome else ()


def request_ranking_metrics(config: Config) -> list[str]:
    """Returns the names of recall@K, ndcg@K and hr@K in every form: `ids_alone_ndcg@10`, ..."""
    if config.retrieval is None:
        return []
    kinds = [f"{metric}@{k}" for metric in ("recall", "ndcg", "hr") for k in config.evaluation.ks]
    return [f"{form}_{metric}" for form in request_forms(config) for metric in kinds]


def request_metric(config: Config, task: str) -> str | None:
    """Returns the metric of a task that is measured in every form: `rmse` or `auc`; None for other kinds of tasks."""
    return _METRICS.get(type(config.tasks[task])) if request_forms(config) else None


def request_task_metrics(config: Config) -> list[str]:
    """Returns the names of the tasks' metrics in every form: `rating/ids_alone_rmse`, ..."""
    found = [(task, request_metric(config, task)) for task in config.ranking]
    return [f"{task}/{form}_{metric}" for task, metric in found if metric for form in request_forms(config)]


def request_output(task: str) -> str:
    """Returns the name of the output of `evaluate` with a task's prediction in each form."""
    return f"request_{task}"


def of_form(form: str, metric: str) -> str:
    """Returns the metric of a form: `ndcg@10` -> `ids_alone_ndcg@10`, `rating/rmse` -> `rating/ids_alone_rmse`."""
    task, slash, name = metric.rpartition("/")
    return f"{task}{slash}{form}_{name}"


def without_form(metric: str) -> str:
    """Undoes `of_form`: `ids_alone_ndcg@10` -> `ndcg@10`, `rating/ids_alone_rmse` -> `rating/rmse`."""
    task, slash, name = metric.rpartition("/")
    form = next((form for form in WORDS if name.startswith(f"{form}_")), None)
    return metric if form is None else f"{task}{slash}{name.removeprefix(f'{form}_')}"
