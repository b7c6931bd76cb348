"""The Evaluator and its configuration: the model, the slices, the metrics, and the gates as thresholds."""

import json
from typing import Any, Literal, NamedTuple

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import config_pb2
from tfx import types
from tfx import v1 as tfx

from config import Config, feature_names
from config.fingerprint import code_fingerprint
from pipeline.evaluation.cold_item_metrics import ColdItemMetrics
from pipeline.evaluation.list_metrics import ListMetrics
from pipeline.evaluation.request_metrics import RequestMetrics, RequestTaskMetrics
from pipeline.evaluation.tfma_metrics import IndexRecall, RetrievalMetrics, RowCount, TaskMetrics
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

    For `change` the range is of the difference to the latest blessed model.
    """

    metric: str
    split: str
    kind: Kind
    min: float | None
    max: float | None


def bounds(config: Config) -> list[Bound]:
    """All bounds of the gates.

    Without any gate a model is blessed once the split was evaluated at all: TFMA blesses nothing without a bound, so
    there is one that holds for every split with an example.
    """
    gates = config.evaluation.gates
    result = [
        Bound(gate.metric, gate.split, "value", gate.min, gate.max)
        for gate in gates
        if gate.min is not None or gate.max is not None
    ]
    result += [
        _change(gate.metric, gate.split, gate.max_regression) for gate in gates if gate.max_regression is not None
    ]
    margin = baseline_gate(config)
    if margin is not None:
        result.append(Bound(LIFT + margin.metric, margin.split, "value", margin.margin, None))
    return result or [Bound(EXAMPLES, config.evaluation.splits[0], "value", 1, None)]


def headline_slice(config: Config, bound: Bound) -> dict[str, str]:
    """The slice that a bound is on, as feature values."""
    if bound.metric == EXAMPLES or config.split.method == "user_hash":
        return {"split": bound.split}
    return {"split": bound.split, "is_cold_user": "0"}


def _change(metric: str, split: str, allowed: float) -> Bound:
    if direction(metric) == "lower":
        return Bound(metric, split, "change", None, allowed)
    return Bound(metric, split, "change", -allowed, None)


def make_eval_config(config: Config) -> Any:
    """The `tfma.EvalConfig` of a configuration.

    One model spec stands for the candidate; the Evaluator adds the latest blessed model where there is one, and drops
    the change thresholds where there is none.
    """
    code = code_fingerprint("pipeline/evaluation")
    specs = [_spec(config, RowCount, {"code": code})]
    if config.retrieval is not None:
        settings = {"ks": list(config.evaluation.ks), "one_list": config.split.history == "frozen"}
        specs.append(_spec(config, RetrievalMetrics, settings))
        lists = list_metrics(config)
        specs += [_spec(config, ListMetrics, {"names": lists})] if lists else []
        forms = {"forms": list(request_forms(config))}
        specs += [_spec(config, RequestMetrics, settings | forms)] if request_forms(config) else []
    if config.evaluates_cold_items:
        specs.append(_spec(config, ColdItemMetrics, settings))
    index_recall = index_recall_metric(config)
    if index_recall is not None:
        specs.append(_spec(config, IndexRecall, {"name": index_recall}))
    specs += [_spec(config, TaskMetrics, {"kind": settings.kind}, task) for task, settings in config.events.items()]
    specs += _request_task_specs(config)
    return config_pb2.EvalConfig(model_specs=[_model_spec(config)], slicing_specs=_slices(config), metrics_specs=specs)


def _request_task_specs(config: Config) -> list[Any]:
    found = {task: request_metric(config, task) for task in config.ranking}
    settings = {"forms": list(request_forms(config))}
    return [_spec(config, RequestTaskMetrics, settings | {"metric": f}, task) for task, f in found.items() if f]


def _model_spec(config: Config) -> Any:
    return config_pb2.ModelSpec(
        model_type=constants.TF_GENERIC,
        signature_name="evaluate",
        preprocessing_function_names=["evaluation_labels"] if config.events else [],
    )


def _slices(config: Config) -> list[Any]:
    """Each split whole; its warm and its cold users; of these, every configured slice."""
    split, cold = feature_names.SPLIT, feature_names.IS_COLD_USER
    keys = [(split,), (split, cold), *((split, cold, name) for name in config.evaluation.slices)]
    return [config_pb2.SlicingSpec(feature_keys=key) for key in keys]


def _spec(config: Config, metric: type, settings: dict[str, Any], task: str = "") -> Any:
    """A metric with its settings, and the thresholds on those of its metrics that gates name."""
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
    return config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec(feature_values=headline_slice(config, bound))],
        threshold=_value_threshold(bound) if bound.kind == "value" else _change_threshold(bound),
    )


def _value_threshold(bound: Bound) -> Any:
    threshold = config_pb2.GenericValueThreshold()
    if bound.min is not None:
        threshold.lower_bound.value = bound.min
    if bound.max is not None:
        threshold.upper_bound.value = bound.max
    return config_pb2.MetricThreshold(value_threshold=threshold)


def _change_threshold(bound: Bound) -> Any:
    higher = bound.min is not None
    threshold = config_pb2.GenericChangeThreshold(
        direction=config_pb2.MetricDirection.HIGHER_IS_BETTER if higher else config_pb2.MetricDirection.LOWER_IS_BETTER
    )
    threshold.absolute.value = bound.min if higher else bound.max
    return config_pb2.MetricThreshold(change_threshold=threshold)


_EXTRACTORS = "pipeline.evaluation.batches"


def make_evaluator(
    config: Config, examples: types.BaseChannel, model: types.BaseChannel, baseline_model: types.BaseChannel
) -> tfx.components.Evaluator:
    """TFX's Evaluator: measures a model on the splits of `evaluation.splits`, and blesses it when the gates hold.

    Args:
      config: The validated configuration.
      examples: Raw examples with the splits `eval` and `test`.
      model: The exported model, with the signatures `evaluate` and `evaluation_labels`.
      baseline_model: The latest blessed model; empty on a first run, which then has nothing to fall behind.
    """
    return tfx.components.Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        example_splits=list(config.evaluation.splits),
        eval_config=make_eval_config(config),
        module_path=_EXTRACTORS,
    )
