from pipeline.evaluation.eval_config import Bound, bounds, headline_slice
from tests.pipeline.evaluation.runs import make_config


def test_each_gate_bounds_its_metric() -> None:
    gates = "[{metric: mrr, min: 0.1, max: 0.9}, {metric: stars/rmse, max_regression: 0.2, split: test}]"
    config = make_config(f"{{gates: {gates}, beat_popularity: {{metric: hr@10, margin: 0.05}}}}")
    assert bounds(config) == [
        Bound("mrr", "eval", "value", 0.1, 0.9),
        Bound("stars/rmse", "test", "change", None, 0.2),
        Bound("lift_hr@10", "eval", "value", 0.05, None),
    ]


def test_a_figure_that_is_better_higher_may_fall_by_the_allowed_regression() -> None:
    config = make_config("{gates: [{metric: mrr, max_regression: 0.2}], beat_popularity: null}")
    assert bounds(config) == [Bound("mrr", "eval", "change", -0.2, None)]


def test_without_gates_there_is_one_that_every_evaluated_split_passes() -> None:
    config = make_config("{beat_popularity: null, splits: [test]}")
    assert bounds(config) == [Bound("example_count", "test", "value", 1, None)]
    assert headline_slice(config, bounds(config)[0]) == {"split": "test"}


def test_the_headline_is_warm_users_unless_the_split_makes_all_users_cold() -> None:
    bound = Bound("mrr", "eval", "value", 0.1, None)
    assert headline_slice(make_config("{}"), bound) == {"split": "eval", "is_cold_user": "0"}
    by_user = make_config("{}", "split: {method: user_hash}")
    assert headline_slice(by_user, bound) == {"split": "eval"}
