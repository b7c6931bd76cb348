"""The gate on what the served index finds."""

import numpy as np
import tensorflow_model_analysis as tfma
from tfx import v1 as tfx  # noqa: F401  (completes TFMA)

from pipeline.evaluation.eval_config import make_eval_config
from pipeline.evaluation.tfma_metrics import IndexRecall
from tests.pipeline.evaluation.runs import make_config
from trainer.metrics.names import check_gates, index_recall_metric, known_metrics

GATED = "{ks: [10, 20], gates: [{metric: index_recall@20, min: 0.95}], beat_popularity: null}"


def test_only_an_approximate_index_has_a_recall() -> None:
    config = make_config(GATED, "serving: {index: ivf}")
    assert index_recall_metric(config) == "index_recall@20"
    assert "index_recall@20" in known_metrics(config)
    assert check_gates(config) == []
    assert "Received: 'index_recall@20'" in check_gates(make_config(GATED))[0]
    assert index_recall_metric(make_config("{ks: [200]}", "serving: {index: int8}")) == "index_recall@100"


def test_the_gate_bounds_the_metric_that_measures_it() -> None:
    specs = {
        s.metrics[0].class_name: s for s in make_eval_config(make_config(GATED, "serving: {index: int8}")).metrics_specs
    }
    thresholds = specs["IndexRecall"].per_slice_thresholds["index_recall@20"].thresholds
    assert thresholds[0].threshold.value_threshold.lower_bound.value == 0.95
    assert not specs["RetrievalMetrics"].per_slice_thresholds
    assert "IndexRecall" not in {s.metrics[0].class_name for s in make_eval_config(make_config("{}")).metrics_specs}


def measured(*batches: dict[str, np.ndarray]) -> float:
    [computation] = IndexRecall("index_recall@20").computations(model_names=[""])
    fold, [rows] = computation.combiner, computation.preprocessors
    state = fold.create_accumulator()
    for outputs in batches:
        for element in rows.process({tfma.PREDICTIONS_KEY: outputs}):
            state = fold.add_input(state, element)
    [value] = fold.extract_output(fold.merge_accumulators([state, fold.create_accumulator()])).values()
    return value


def test_the_recall_is_a_mean_over_rows() -> None:
    parts = [{"index_recall": np.array(values)} for values in ([1.0, 0.5], [0.0])]
    assert measured(*parts) == 0.5
    assert np.isnan(measured())


def test_a_model_that_does_not_say_is_exact() -> None:
    assert measured({"target_rank": np.zeros(3)}) == 1
