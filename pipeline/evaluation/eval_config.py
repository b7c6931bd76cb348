"""TFMA's configuration from ours: the model, the slices, the metrics, the thresholds."""

import json
from collections.abc import Iterable
from typing import Any

from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import config_pb2

from pipeline import layout
from pipeline.config import Config
from pipeline.config.tasks import BinaryTask
from pipeline.evaluation.gates import Bound, bounds, headline_slice
from pipeline.evaluation.metric_names import BINARY_METRICS, EXAMPLES, REGRESSION_METRICS
from pipeline.evaluation.retrieval_metrics import RetrievalMetrics
from pipeline.fingerprint import code_fingerprint

_TASK_METRIC_CLASSES = {
    "auc": "AUC",
    "log_loss": "BinaryCrossEntropy",
    "accuracy": "BinaryAccuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1Score",
    "calibration": "Calibration",
    "rmse": "RootMeanSquaredError",
    "mae": "MeanAbsoluteError",
}


def make_eval_config(config: Config) -> Any:
    """The `tfma.EvalConfig` of a configuration.

    One model spec stands for the candidate; the Evaluator adds the latest blessed model where there is one, and drops
    the change thresholds where there is none.
    """
    limits = bounds(config)
    return config_pb2.EvalConfig(
        model_specs=[_model_spec(config)],
        slicing_specs=_slices(config),
        metrics_specs=[_example_count(config, limits), *_retrieval(config, limits), *_ranking(config, limits)],
    )


def _model_spec(config: Config) -> Any:
    tasks = config.ranking
    return config_pb2.ModelSpec(
        model_type=constants.TF_GENERIC,
        signature_name="evaluate",
        preprocessing_function_names=["evaluation_labels"] if tasks else [],
        label_keys={task: f"target_label_{task}" for task in tasks},
        example_weight_keys={task: f"target_weight_{task}" for task in tasks},
    )


def _slices(config: Config) -> list[Any]:
    """Each split whole; its warm and its cold users; of these, every configured slice."""
    split, cold = layout.SPLIT, layout.IS_COLD_USER
    keys = [(split,), (split, cold), *((split, cold, name) for name in config.evaluation.slices)]
    return [config_pb2.SlicingSpec(feature_keys=key) for key in keys]


def _example_count(config: Config, limits: Iterable[Bound]) -> Any:
    metric = config_pb2.MetricConfig(class_name="ExampleCount", config=json.dumps({"name": EXAMPLES}))
    metric.per_slice_thresholds.extend(_thresholds(config, EXAMPLES, limits))
    unweighted = config_pb2.ExampleWeightOptions(unweighted=True)
    return config_pb2.MetricsSpec(metrics=[metric], example_weights=unweighted)


def _retrieval(config: Config, limits: Iterable[Bound]) -> list[Any]:
    if config.retrieval is None:
        return []
    settings = {
        "ks": list(config.evaluation.ks),
        "one_list": config.split.history == "frozen",
        "code": code_fingerprint("pipeline/evaluation"),
    }
    metric = config_pb2.MetricConfig(
        class_name=RetrievalMetrics.__name__, module=RetrievalMetrics.__module__, config=json.dumps(settings)
    )
    spec = config_pb2.MetricsSpec(metrics=[metric], example_weights=config_pb2.ExampleWeightOptions(unweighted=True))
    for name in sorted({bound.metric for bound in limits if "/" not in bound.metric and bound.metric != EXAMPLES}):
        spec.per_slice_thresholds[name].thresholds.extend(_thresholds(config, name, limits))
    return [spec]


def _ranking(config: Config, limits: Iterable[Bound]) -> list[Any]:
    specs = []
    for task, settings in config.ranking.items():
        names = BINARY_METRICS if isinstance(settings, BinaryTask) else REGRESSION_METRICS
        metrics = [_task_metric(config, task, name, limits) for name in names]
        specs.append(config_pb2.MetricsSpec(metrics=metrics, output_names=[task]))
    return specs


def _task_metric(config: Config, task: str, name: str, limits: Iterable[Bound]) -> Any:
    metric = config_pb2.MetricConfig(class_name=_TASK_METRIC_CLASSES[name], config=json.dumps({"name": name}))
    metric.per_slice_thresholds.extend(_thresholds(config, f"{task}/{name}", limits))
    return metric


def _thresholds(config: Config, metric: str, limits: Iterable[Bound]) -> list[Any]:
    """TFMA's per-slice thresholds on one metric."""
    return [
        config_pb2.PerSliceMetricThreshold(
            slicing_specs=[config_pb2.SlicingSpec(feature_values=headline_slice(config, bound))],
            threshold=_value_threshold(bound) if bound.kind == "value" else _change_threshold(bound),
        )
        for bound in limits
        if bound.metric == metric
    ]


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
