import numpy as np

from pipeline.evaluation.cold_item_metrics import ColdItemFold, cold_events
from pipeline.evaluation.eval_config import make_eval_config
from tests.pipeline.evaluation.runs import make_config
from trainer.metrics.names import check_gates, known_metrics

OUTPUTS = {
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
    found = fold.read(fold.merge([fold.add(fold.start(), cold_events(OUTPUTS)), fold.start()]))
    assert found["cold_item_users"] == 2
    # Ranks 40 and 2 among all, 3 and 1 among the cold ones; those of popularity 90 and 91, 1 and 9.
    assert [found[f"cold_recall@{k}"] for k in (2, 10)] == [0.5, 0.5]
    assert [found[f"among_cold_recall@{k}"] for k in (2, 10)] == [0.5, 1]
    assert [found[f"popularity_among_cold_recall@{k}"] for k in (2, 10)] == [0.5, 1]
    np.testing.assert_allclose(found["cold_ndcg@10"], 1 / np.log2(3) / 2)
    np.testing.assert_allclose(found["among_cold_ndcg@10"], (1 / 2 + 1) / 2)
    np.testing.assert_allclose(found["lift_among_cold_ndcg@10"], (1.5 - 1 - 1 / np.log2(10)) / 2)
    assert not any("hr@" in name or "mrr" in name for name in found)


def test_a_model_that_does_not_tell_cold_items_has_no_figures() -> None:
    old = {name: v for name, v in OUTPUTS.items() if "cold" not in name}
    fold = ColdItemFold((2,), one_list=False)
    found = fold.read(fold.add(fold.start(), cold_events(old)))
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
