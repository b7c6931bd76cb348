import json

import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from tfx import v1 as tfx  # noqa: F401  (completes TFMA)

from pipeline.evaluation.eval_config import make_eval_config
from pipeline.evaluation.metrics import (
    ColdItemFold,
    IndexRecall,
    Means,
    cold_events,
    list_rows,
    request_answers,
    request_events,
    request_fold,
    request_task_fold,
)
from tests.pipeline.evaluation.runs import make_config
from trainer.metrics.names import check_gates, direction, index_recall_metric, known_metrics
from trainer.metrics.request_forms import request_forms

NAMES = ["novelty@1", "novelty@2", "intra_list_distance@1", "intra_list_distance@2"]
LISTS = {
    "retrieval_weight": np.array([1.0, 0.0, 1.0]),
    "novelty": np.array([[1.0, 2.0], [9, 9], [3, 4]]),
    "intra_list_distance": np.array([[np.nan, 0.5], [9, 9], [np.nan, np.nan]]),
    "popularity_novelty": np.array([[0.0, 0.5], [9, 9], [0, 0.5]]),
}


def test_only_the_listed_ks_are_measured() -> None:
    def measured(evaluation: str) -> list[str]:
        specs = make_eval_config(make_config(evaluation)).metrics_specs
        return [json.loads(s.metrics[0].config)["names"] for s in specs if s.metrics[0].class_name == "ListMetrics"]

    assert measured("{ks: [10, 200]}") == [["novelty@10"]]
    assert measured("{ks: [200]}") == []


def test_lists_of_positive_targets_count() -> None:
    rows = list_rows(NAMES, LISTS, {}, "")
    np.testing.assert_array_equal(rows[:, :4], [[1, 2, np.nan, 0.5], [3, 4, np.nan, np.nan]])
    np.testing.assert_array_equal(rows[:, 4:6], [[0, 0.5], [0, 0.5]])
    assert np.isnan(rows[:, 6:]).all()


def test_undefined_metrics_do_not_count() -> None:
    means = Means(NAMES)
    rows = list_rows(NAMES, LISTS, {}, "")[:, :4]
    merged = means.merge([means.add(means.start(), rows[:1]), means.add(means.start(), rows[1:])])
    found = means.read(merged)
    assert [found[name] for name in ("novelty@1", "novelty@2", "intra_list_distance@2")] == [2, 3, 0.5]
    assert np.isnan(found["intra_list_distance@1"])


COLD = {
    "user_key": np.array([1, 2, 3, 4]),
    "target_count": np.ones(4),
    "retrieval_weight": np.array([1.0, 1.0, 1.0, 0.0]),
    "is_cold_item": np.array([1.0, 0.0, 1.0, 1.0]),
    "target_rank": np.array([40.0, 1.0, 2.0, 1.0]),
    "popularity_rank": np.array([90.0, 1.0, 91.0, 1.0]),
    "cold_rank": np.array([3.0, 1.0, 1.0, 1.0]),
    "popularity_cold_rank": np.array([1.0, 1.0, 9.0, 1.0]),
}


def test_cold_targets_are_ranked_in_the_catalogue_and_among_themselves() -> None:
    fold = ColdItemFold((2, 10), one_list=False)
    found = fold.read(fold.merge([fold.add(fold.start(), cold_events(COLD, {}, "")), fold.start()]))
    assert found["cold_item_users"] == 2
    # Ranks 40 and 2 among all, 3 and 1 among the cold ones; those of popularity 90 and 91, 1 and 9.
    assert [found[f"cold_recall@{k}"] for k in (2, 10)] == [0.5, 0.5]
    assert [found[f"among_cold_recall@{k}"] for k in (2, 10)] == [0.5, 1]
    assert [found[f"popularity_among_cold_recall@{k}"] for k in (2, 10)] == [0.5, 1]
    np.testing.assert_allclose(found["cold_ndcg@10"], 1 / np.log2(3) / 2)
    np.testing.assert_allclose(found["among_cold_ndcg@10"], (1 / 2 + 1) / 2)
    np.testing.assert_allclose(found["lift_among_cold_ndcg@10"], (1.5 - 1 - 1 / np.log2(10)) / 2)
    assert not any("hr@" in name or "mrr" in name for name in found)


def test_a_model_that_does_not_mark_cold_items_has_no_metrics() -> None:
    old = {name: v for name, v in COLD.items() if "cold" not in name}
    fold = ColdItemFold((2,), one_list=False)
    found = fold.read(fold.add(fold.start(), cold_events(old, {}, "")))
    assert found["cold_item_users"] == 0
    assert np.isnan(found["cold_recall@2"])


def test_the_gates_know_the_metrics_that_the_configuration_measures() -> None:
    gate = "{ks: [10], cold_items: true, gates: [{metric: cold_ndcg@10, min: 0.1}, {metric: novelty@10, min: 5}]}"
    config = make_config(gate)
    assert check_gates(config) == []
    assert {"among_cold_recall@10", "lift_cold_ndcg@10", "popularity_novelty@10"} <= set(known_metrics(config))
    specs = {spec.metrics[0].class_name: spec for spec in make_eval_config(config).metrics_specs}
    assert list(specs["ColdItemMetrics"].per_slice_thresholds) == ["cold_ndcg@10"]
    assert list(specs["ListMetrics"].per_slice_thresholds) == ["novelty@10"]
    plain = make_config("{ks: [10]}")
    assert not any("cold_" in name for name in known_metrics(plain))
    assert "ColdItemMetrics" not in {s.metrics[0].class_name for s in make_eval_config(plain).metrics_specs}


FORMS = ("everything", "ids_alone")
NAN = np.nan
REQUESTS = {
    "user_key": np.array([1, 2, 3, 4]),
    "target_count": np.ones(4),
    "retrieval_weight": np.array([1.0, 1.0, 1.0, 0.0]),
    "request_rank": np.array([[1.0, 4.0], [NAN, NAN], [3.0, np.inf], [1.0, 1.0]]),
    "request_stars": np.array([[3.0, 5.0], [NAN, NAN], [2.0, 2.0], [1.0, 1.0]]),
}
LABELS = {"target_label_stars": np.array([4.0, 1.0, 2.0, 1.0]), "target_weight_stars": np.array([1.0, 1.0, 1.0, 0.0])}


def metrics(fold, rows):
    """Of rows in two batches that are merged, one of them empty."""
    return fold.read(fold.merge([fold.add(fold.start(), rows), fold.start()]))


def test_ranks_in_every_form_are_averaged_over_the_users_that_were_sampled() -> None:
    found = metrics(request_fold(FORMS, (3, 5), one_list=False), request_events(2, REQUESTS, {}, ""))
    assert [found[f"everything_hr@{k}"] for k in (3, 5)] == [1, 1]
    assert [found[f"ids_alone_recall@{k}"] for k in (3, 5)] == [0, 0.5]
    np.testing.assert_allclose(found["everything_ndcg@5"], (1 + 1 / 2) / 2)
    np.testing.assert_allclose(found["ids_alone_ndcg@5"], 1 / np.log2(5) / 2)
    np.testing.assert_allclose(found["stderr_everything_ndcg@5"], 0.25)
    assert not any("mrr" in name or "lift" in name for name in found)


def test_predictions_in_every_form_are_those_of_labelled_targets() -> None:
    found = metrics(request_task_fold(FORMS, "rmse"), request_answers(2, REQUESTS, LABELS, "stars"))
    np.testing.assert_allclose(found["everything_rmse"], np.sqrt(1 / 2))
    np.testing.assert_allclose(found["ids_alone_rmse"], np.sqrt(1 / 2))
    assert set(found) == {"everything_rmse", "ids_alone_rmse"}


def test_a_model_that_does_not_answer_for_forms_has_no_metrics() -> None:
    old = {name: values for name, values in REQUESTS.items() if not name.startswith("request_")}
    assert np.isnan(metrics(request_fold(FORMS, (3,), one_list=True), request_events(2, old, {}, ""))["ids_alone_hr@3"])
    found = metrics(request_task_fold(FORMS, "auc"), request_answers(2, old, LABELS, "stars"))
    assert np.isnan(found["everything_auc"])


def test_gates_may_name_the_metrics_of_forms() -> None:
    gates = "[{metric: ids_alone_ndcg@10, min: .1}, {metric: stars/month_later_rmse, max_regression: .1}]"
    config = make_config(f"{{ks: [10], gates: {gates}}}")
    assert check_gates(config) == []
    specs = {(spec.metrics[0].class_name, *spec.output_names): spec for spec in make_eval_config(config).metrics_specs}
    assert list(specs["RequestMetrics",].per_slice_thresholds) == ["ids_alone_ndcg@10"]
    assert list(specs["RequestTaskMetrics", "stars"].per_slice_thresholds) == ["month_later_rmse"]
    assert ("RequestTaskMetrics", "order") not in specs
    assert direction("stars/month_later_rmse") == "lower"
    assert direction("ids_alone_hr@10") == "higher"


@pytest.mark.parametrize(
    ("evaluation", "extra", "forms"),
    [
        ("{}", "", 6),
        ("{requests: 0}", "", 0),
        ("{}", "timeless", 2),
    ],
)
def test_there_is_a_form_where_it_differs(evaluation: str, extra: str, forms: int) -> None:
    config = make_config(evaluation)
    if extra:
        interactions = config.data.interactions.model_copy(update={"time": None})
        config = config.model_copy(update={"data": config.data.model_copy(update={"interactions": interactions})})
    assert len(request_forms(config)) == forms
    assert any("ids_alone" in name for name in known_metrics(config)) == (forms > 0)


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
