"""The Evaluator and its configuration: the model, the slices, the metrics, and the gates as thresholds."""

import json
from typing import Any, Literal, NamedTuple

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx import v1 as tfx

from config import Config, feature_names
from config.fingerprint import code_fingerprint
from pipeline.evaluation.metrics import (
    ColdItemMetrics,
    IndexRecall,
    ListMetrics,
    RequestMetrics,
    RequestTaskMetrics,
    RetrievalMetrics,
    RowCount,
    TaskMetrics,
)
from trainer.metrics.names import (
    COLD_USERS,
    EXAMPLES,
    LIFT,
    POPULARITY,
    baseline_gate,
    cold_item_metrics,
    direction,
    index_recall_metric,
    list_metrics,
)
from trainer.metrics.request_forms import (
    request_forms,
    request_metric,
    request_ranking_metrics,
    request_task_metrics,
)

Kind = Literal["value", "change"]


class Bound(NamedTuple):
    """A metric's allowed range on the headline slice of a split.

    The headline is the warm users, those with training events. With `user_hash` every user of eval and test is new, so
    there it is all users. For `change` the range is of the difference to the latest blessed model.
    """

    metric: str
    split: str
    kind: Kind
    min: float | None
    max: float | None


def make_evaluator(
    config: Config, examples: types.BaseChannel, model: types.BaseChannel, baseline_model: types.BaseChannel
) -> tfx.components.Evaluator:
    """Makes TFX's Evaluator, which measures a model on `evaluation.splits` and blesses it when the gates hold.

    Args:
      config: The validated configuration.
      examples: Raw examples with the splits `eval` and `test`.
      model: The exported model, with the signatures `evaluate` and `evaluation_labels`.
      baseline_model: The latest blessed model; empty on a first run, which has nothing to be compared with.
    """
    return tfx.components.Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        example_splits=list(config.evaluation.splits),
        eval_config=make_eval_config(config),
        module_path="pipeline.evaluation.batches",
    )


def make_eval_config(config: Config) -> Any:
    """Returns the `tfma.EvalConfig` of a configuration.

    One model spec stands for the candidate; the Evaluator adds the latest blessed model where there is one, and drops
    the change thresholds where there is none. The slices are each split, its warm and its cold users, and of these
    every configured slice.
    """
    forms = {"forms": list(request_forms(config))}
    counted: dict[str, Any] = {"code": code_fingerprint("pipeline/evaluation")}
    if config.evaluation.max_users is not None:
        counted["sample"] = {"users": config.evaluation.max_users, "seed": config.split.seed}
    if config.evaluation.min_slice_users > 1:
        counted["min_slice_users"] = config.evaluation.min_slice_users
    specs = [_spec(config, RowCount, counted)]
    ranking = {"ks": list(config.evaluation.ks), "one_list": config.split.history == "frozen"}
    if config.retrieval is not None:
        specs.append(_spec(config, RetrievalMetrics, ranking))
        if lists := list_metrics(config):
            specs.append(_spec(config, ListMetrics, {"names": lists}))
        if forms["forms"]:
            specs.append(_spec(config, RequestMetrics, ranking | forms))
    if config.evaluates_cold_items:
        specs.append(_spec(config, ColdItemMetrics, ranking))
    if (index_recall := index_recall_metric(config)) is not None:
        specs.append(_spec(config, IndexRecall, {"name": index_recall}))
    specs += [_spec(config, TaskMetrics, {"kind": settings.kind}, task) for task, settings in config.events.items()]
    for task in config.ranking:
        if metric := request_metric(config, task):
            specs.append(_spec(config, RequestTaskMetrics, forms | {"metric": metric}, task))
    split, cold = feature_names.SPLIT, feature_names.IS_COLD_USER
    slices = [(split,), (split, cold), *((split, cold, name) for name in config.evaluation.slices)]
    model = config_pb2.ModelSpec(
        model_type=constants.TF_GENERIC,
        signature_name="evaluate",
        preprocessing_function_names=["evaluation_labels"] if config.events else [],
    )
    return config_pb2.EvalConfig(
        model_specs=[model],
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=keys) for keys in slices],
        metrics_specs=specs,
    )


def bounds(config: Config) -> list[Bound]:
    """Returns all bounds of the gates.

    Without any bound on a value a model is blessed once the split was evaluated at all: TFMA blesses nothing without a
    bound, and a first model has no other to be compared with, so there is one that holds for every split with an
    example.
    """
    gates = config.evaluation.gates
    result = [Bound(g.metric, g.split, "value", g.min, g.max) for g in gates if g.min is not None or g.max is not None]
    for gate in gates:
        if (allowed := gate.max_regression) is not None:
            is_lower = direction(gate.metric) == "lower"
            range_ = (None, allowed) if is_lower else (-allowed, None)
            result.append(Bound(gate.metric, gate.split, "change", *range_))
    if (margin := baseline_gate(config)) is not None:
        result.append(Bound(LIFT + margin.metric, margin.split, "value", margin.margin, None))
    if not any(bound.kind == "value" for bound in result):
        result.append(Bound(EXAMPLES, config.evaluation.splits[0], "value", 1, None))
    return result


def headline_slice(config: Config, bound: Bound) -> dict[str, str]:
    """Returns the slice that a bound is on, as feature values."""
    if bound.metric == EXAMPLES or config.split.method == "user_hash":
        return {"split": bound.split}
    return {"split": bound.split, "is_cold_user": "0"}


def _spec(config: Config, metric: type, settings: dict[str, Any], task: str = "") -> Any:
    """Returns the spec of a metric, with the thresholds of the gates on it."""
    spec = config_pb2.MetricsSpec(
        metrics=[
            config_pb2.MetricConfig(
                class_name=metric.__name__, module=metric.__module__, config=json.dumps(settings, sort_keys=True)
            )
        ],
        output_names=[task] if task else [],
        example_weights=config_pb2.ExampleWeightOptions(unweighted=True),
    )
    for bound in bounds(config):
        owner, _, name = bound.metric.rpartition("/")
        if owner == task and _measured_by(config, bound.metric) is metric:
            spec.per_slice_thresholds[name].thresholds.append(_threshold(config, bound))
    return spec


def _measured_by(config: Config, metric: str) -> type:
    if metric in request_task_metrics(config):
        return RequestTaskMetrics
    if metric in request_ranking_metrics(config):
        return RequestMetrics
    if "/" in metric:
        return TaskMetrics
    if metric.removeprefix(POPULARITY) in list_metrics(config):
        return ListMetrics
    cold = cold_item_metrics(config.evaluation.ks)
    if metric == COLD_USERS or metric.removeprefix(POPULARITY).removeprefix(LIFT) in cold:
        return ColdItemMetrics
    return {EXAMPLES: RowCount, index_recall_metric(config): IndexRecall}.get(metric, RetrievalMetrics)


def _threshold(config: Config, bound: Bound) -> Any:
    threshold = config_pb2.MetricThreshold()
    if bound.kind == "value":
        if bound.min is not None:
            threshold.value_threshold.lower_bound.value = bound.min
        if bound.max is not None:
            threshold.value_threshold.upper_bound.value = bound.max
    elif bound.min is not None:
        threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
        threshold.change_threshold.absolute.value = bound.min
    else:
        threshold.change_threshold.direction = config_pb2.MetricDirection.LOWER_IS_BETTER
        threshold.change_threshold.absolute.value = bound.max
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec(feature_values=headline_slice(config, bound))], threshold=threshold
    )
