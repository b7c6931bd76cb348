import pytest

from config import Config
from tests.pipeline.evaluation.runs import make_config
from trainer.metrics.names import (
    baseline_gate,
    check_gates,
    direction,
    known_metrics,
    main_metric,
    task_metrics,
)


def test_knows_every_metric_of_the_tasks() -> None:
    known = known_metrics(make_config("{ks: [5, 200]}"))
    assert {"ndcg@5", "hr@200", "mrr", "lift_recall@5", "popularity_mrr", "users", "coverage@5"} <= set(known)
    assert {"like/auc", "like/f1", "stars/rmse", "stars/mae"} <= set(known)
    assert {"genre/accuracy", "genre/log_loss", "order/pairwise_accuracy", "order/ndcg"} <= set(known)
    assert not {"coverage@200", "ndcg@10", "stars/auc", "like/rmse"} & set(known)
    assert len(known) == len(set(known))


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        ("{gates: [{metric: ndcg@7, min: 0.1}]}", ["evaluation.gates.0", "ndcg@10", "Received: 'ndcg@7'"]),
        ("{gates: [{metric: like/rmse, max: 1}]}", ["evaluation.gates.0", "like/auc"]),
        ("{splits: [eval], gates: [{metric: mrr, min: 0, split: test}]}", ["evaluation.gates.0.split", "'test'"]),
        ("{gates: [{metric: mrr, min: 0.5, max: 0.4}]}", ["evaluation.gates.0.min", "0.5 > 0.4"]),
        ("{gates: [{metric: like/calibration, max_regression: 0.1}]}", ["max_regression", "like/calibration"]),
        ("{beat_popularity: {metric: like/auc}}", ["evaluation.beat_popularity", "ndcg@10"]),
        ("{splits: [test], beat_popularity: {metric: mrr}}", ["evaluation.beat_popularity.split", "'eval'"]),
        ("{gates: [{metric: genre/ndcg, min: 0.1}]}", ["evaluation.gates.0", "genre/accuracy"]),
        ("{gates: [{metric: order/ndcg, min: 0.1}]}", ["evaluation.gates.0.metric", "`leave_last_out` has one"]),
        ("{slices: [user_age]}", ["evaluation.slices", "user_gender, context_device", "'user_age'"]),
        ("{ks: [10, 10]}", ["evaluation.ks", "[10, 10]"]),
        ("{ks: []}", ["evaluation.ks"]),
        ("{splits: []}", ["evaluation.splits"]),
    ],
)
def test_errors_name_key_and_values(evaluation: str, words: list[str]) -> None:
    errors = check_gates(make_config(evaluation))
    assert len(errors) == 1
    assert all(word in errors[0] for word in words)


def test_a_sound_configuration_has_no_errors() -> None:
    gates = "[{metric: lift_mrr, min: 0, split: test}, {metric: stars/rmse, max: 1, max_regression: 0.1}]"
    assert check_gates(make_config(f"{{gates: {gates}, slices: [user_gender]}}")) == []


def test_a_gate_on_an_order_needs_several_targets_of_a_user() -> None:
    gates = "{gates: [{metric: order/pairwise_accuracy, min: 0.5}, {metric: ndcg@10, min: 0}]}"
    assert check_gates(make_config(gates, "split: {method: random}")) == []


def test_each_task_has_a_most_informative_metric() -> None:
    config = make_config("{}")
    assert task_metrics(config) == ["like/auc", "stars/rmse", "order/pairwise_accuracy", "genre/accuracy"]


def test_a_gate_on_retrieval_needs_a_retrieval_task() -> None:
    config = _ranking_only("{gates: [{metric: mrr, min: 0.1}]}")
    assert "like/auc" in check_gates(config)[0]
    assert check_gates(_ranking_only("{}")) == []


def test_the_margin_over_popularity_follows_the_configuration_where_none_is_set() -> None:
    gate = baseline_gate(make_config("{ks: [20], splits: [test]}"))
    assert gate is not None
    assert (gate.metric, gate.split, gate.margin) == ("ndcg@20", "test", 0)
    assert baseline_gate(make_config("{beat_popularity: null}")) is None
    assert baseline_gate(_ranking_only("{}")) is None


def test_one_metric_sums_the_evaluation_up() -> None:
    assert main_metric(make_config("{beat_popularity: {metric: mrr, split: test}}")) == ("mrr", "test")
    assert main_metric(make_config("{ks: [5], beat_popularity: null}")) == ("ndcg@5", "eval")
    assert main_metric(_ranking_only("{}")) == ("like/auc", "eval")


def test_direction() -> None:
    assert direction("ndcg@10") == direction("like/auc") == "higher"
    assert direction("stars/rmse") == direction("like/log_loss") == direction("genre/log_loss") == "lower"
    assert direction("order/pairwise_accuracy") == "higher"
    assert direction("like/calibration") is None


def _ranking_only(evaluation: str) -> Config:
    config = make_config(evaluation)
    return config.model_copy(update={"tasks": {name: config.tasks[name] for name in ("like", "stars")}})
