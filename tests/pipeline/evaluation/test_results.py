import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from config import paths
from pipeline.evaluation.results import (
    Metric,
    Verdict,
    blessing_reasons,
    headline,
    metrics_table,
    newest_evaluation,
    read_metrics,
    read_verdicts,
)
from pipeline.ingest.splits import hash_text, mix_bits
from tests.pipeline.evaluation.runs import Event, evaluate, make_config, save, write_examples

EVAL = [
    Event(1, rank=1, popularity=2, count=2, top=(1, 2), like=0.9, liked=1.0, device="tv"),
    Event(2, rank=2, popularity=1, gender="M", top=(3, -1), like=0.2, stars=4.0, rated=5.0),
    Event(3, rank=2, popularity=1, gender=None, cold=1, stars=1.0, labelled=0.0),
    Event(1, rank=4, popularity=3, count=2, top=(1, 2), like=0.8, device="web"),
    Event(4, rank=1, popularity=1, weight=0.0, like=0.4),
]
TEST = [Event(1, rank=3, popularity=1)]
SECOND_PLACE = 1 / math.log2(3)
GATES = """[
  {metric: ndcg@2, min: 0.5, max_regression: 0.1},
  {metric: stars/rmse, max: 0.4, max_regression: 0.1},
  {metric: mrr, min: 0.9, split: test},
]"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_examples(tmp_path_factory.mktemp("examples"), {"eval": EVAL, "test": TEST})


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> tuple[str, bool]:
    """A run that has no blessed model to compare with."""
    config = make_config(
        f"{{ks: [1, 2], slices: [user_gender, context_device], gates: {GATES},"
        " beat_popularity: {metric: recall@2, margin: 0.0}}"
    )
    folder = tmp_path_factory.mktemp("first")
    return evaluate(config, examples, save(folder / "model"), folder)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> tuple[str, bool]:
    """A worse model (each target one rank further down) beside the latest blessed one."""
    gates = "[{metric: ndcg@2, max_regression: 0.9}, {metric: mrr, max_regression: 0.2}]"
    config = make_config(f"{{ks: [2], gates: {gates}, beat_popularity: null}}")
    folder = tmp_path_factory.mktemp("second")
    worse, blessed = save(folder / "model", shift=1.0), save(folder / "blessed")
    return evaluate(config, examples, worse, folder, baseline=blessed)


def test_the_headline_is_averaged_over_warm_users(first: tuple[str, bool]) -> None:
    found = headline(first[0], "eval")
    # User 1 has ranks 1 and 4, user 2 has rank 2; histories roll, so each target has a list of its own.
    expected = {
        "users": 2,
        "recall@1": (1 / 2 + 0) / 2,
        "recall@2": (1 / 2 + 1) / 2,
        "ndcg@1": (1 / 2 + 0) / 2,
        "ndcg@2": (1 / 2 + SECOND_PLACE) / 2,
        "hr@1": 1 / 2,
        "hr@2": 1,
        "mrr": (1 + 1 / 2) / 2,
        "popularity_recall@2": (1 / 2 + 1) / 2,
        "popularity_ndcg@2": (SECOND_PLACE / 2 + 1) / 2,
        "lift_recall@1": (1 / 2 - 1) / 2,
        "stderr_recall@1": 1 / 4,
        "stderr_lift_recall@1": 3 / 4,
        "coverage@1": 2 / 4,
        "coverage@2": 3 / 4,
        "popularity_coverage@2": 2 / 4,
        "lift_coverage@2": 1 / 4,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_a_sample_of_users_is_the_same_for_both_models_and_their_gates(tmp_path: Path) -> None:
    ranks = {user: 1 + user % 7 for user in range(1, 31)}
    events = [Event(user, rank=rank, popularity=1) for user, rank in ranks.items()]
    data = write_examples(tmp_path / "examples", {"eval": events})
    gates = "[{metric: mrr, max_regression: 0.9}]"
    config = make_config(f"{{ks: [2], splits: [eval], max_users: 10, gates: {gates}, beat_popularity: null}}")
    worse, blessed = save(tmp_path / "model", shift=1.0), save(tmp_path / "blessed")
    uri, _ = evaluate(config, data, worse, tmp_path, baseline=blessed)
    ids = np.array([str(user).encode() for user in ranks], object)
    drawn = np.array(list(ranks))[np.argsort(mix_bits(hash_text(ids), config.split.seed))[:10]]
    rank = np.array([ranks[user] for user in drawn])
    found = headline(uri, "eval")
    assert found["users"] == found["example_count"] == 10
    assert found["mrr"] == pytest.approx((1 / (rank + 1)).mean())
    assert found["stderr_mrr"] == pytest.approx((1 / (rank + 1)).std(ddof=1) / math.sqrt(10))
    (verdict,) = [verdict for verdict in read_verdicts(uri) if verdict.metric == "mrr"]
    assert verdict.found == pytest.approx((1 / (rank + 1) - 1 / rank).mean())


def test_ranking_tasks_count_the_targets_label_and_weight(first: tuple[str, bool]) -> None:
    found = headline(first[0], "eval")
    loss = -(math.log(0.9) + math.log(0.8) + math.log(0.2) + math.log(0.6)) / 4
    expected = {
        "example_count": 4,
        "like/examples": 4,
        "like/auc": 1,
        "like/log_loss": loss,
        "like/accuracy": 3 / 4,
        "like/precision": 1 / 2,
        "like/recall": 1,
        "like/f1": 2 / 3,
        "like/calibration": 2.3 / 1,
        "stars/rmse": math.sqrt(1 / 4),
        "stars/mae": 1 / 4,
        "genre/accuracy": 3 / 4,
        "genre/log_loss": loss,
        # Of the warm users only user 1 has two targets with different labels.
        "order/users": 1,
        "order/examples": 4,
        "order/pairwise_accuracy": 1,
        "order/ndcg": 1,
    }
    assert math.isnan(found["stderr_order/ndcg"])
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_slices_tell_splits_users_and_features_apart(first: tuple[str, bool]) -> None:
    metrics = {(f.split, f.slice, f.metric): f.value for f in read_metrics(first[0])}
    assert {(split, place) for split, place, _ in metrics} == {
        *(("eval", place) for place in ("all", "warm", "cold", "warm, user_gender=F", "warm, user_gender=M")),
        *(("eval", f"warm, context_device={device}") for device in ("tv", "web")),
        *(("test", place) for place in ("all", "warm", "warm, user_gender=F")),
    }
    assert metrics["eval", "all", "users"] == 3
    assert metrics["eval", "cold", "recall@2"] == 1
    assert metrics["eval", "cold", "stars/examples"] == 0
    assert math.isnan(metrics["eval", "cold", "stars/rmse"])
    assert metrics["eval", "warm, user_gender=M", "recall@1"] == 0
    # In a slice of events a user counts with the targets that fall into it.
    assert metrics["eval", "warm, context_device=web", "recall@2"] == 0
    assert metrics["eval", "warm, context_device=tv", "recall@2"] == 1
    assert metrics["test", "warm", "mrr"] == pytest.approx(1 / 3)


def test_failed_gates_withhold_the_blessing_and_say_why(first: tuple[str, bool]) -> None:
    uri, blessed = first
    assert not blessed
    assert blessing_reasons(uri) == [
        "mrr on test (warm users): wanted at least 0.9, found 0.3333",
        "stars/rmse on eval (warm users): wanted at most 0.4, found 0.5",
    ]


def test_without_a_blessed_model_no_change_is_asked_for(first: tuple[str, bool]) -> None:
    verdicts = {verdict.metric: verdict for verdict in read_verdicts(first[0])}
    assert set(verdicts) == {"ndcg@2", "mrr", "stars/rmse", "lift_recall@2"}
    assert verdicts["lift_recall@2"] == Verdict("lift_recall@2", "eval", "warm", "at least 0", 0.0, True)


def test_a_regression_beyond_the_allowed_one_withholds_the_blessing(second: tuple[str, bool]) -> None:
    uri, blessed = second
    assert not blessed
    # Reciprocal ranks fall from 1 and 1/2 to 1/2 and 1/3.
    assert blessing_reasons(uri) == [
        "mrr on eval (warm users): wanted a change of at least -0.2 to the latest blessed model, found -0.3333"
    ]
    assert [verdict.passed for verdict in read_verdicts(uri) if verdict.metric == "ndcg@2"] == [True]


def test_beside_a_baseline_the_metrics_are_the_candidates(second: tuple[str, bool]) -> None:
    assert headline(second[0], "eval")["mrr"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    metrics = read_metrics(second[0])
    assert len(metrics) == len({(f.split, f.slice, f.metric) for f in metrics})
    assert Metric("eval", "warm", "users", 2.0) in metrics


def test_without_gates_an_evaluated_model_is_blessed_and_many_rows_stay_in_order(tmp_path: Path) -> None:
    config = make_config("{ks: [2], splits: [eval], beat_popularity: null}")
    events = [Event(user, rank=1 + user % 4, popularity=1, cold=1) for user in range(1500)]
    examples = write_examples(tmp_path / "examples", {"eval": events})
    uri, blessed = evaluate(config, examples, save(tmp_path / "model"), tmp_path)
    assert blessed
    assert blessing_reasons(uri) == []
    found = headline(uri, "eval")
    assert found["users"] == 1500
    assert found["recall@2"] == 1 / 2


def test_the_newest_evaluation_is_that_of_the_highest_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = make_config("{}")
    with pytest.raises(FileNotFoundError, match="no evaluation in"):
        newest_evaluation(config)
    for number in (9, 10):
        Path(paths.artifacts(config), "Evaluator", "evaluation", str(number)).mkdir(parents=True)
    assert newest_evaluation(config).name == "10"


def test_a_metric_stands_beside_its_error_and_popularity() -> None:
    metrics = {"ndcg@10": 0.131, "stderr_ndcg@10": 0.009, "popularity_ndcg@10": 0.045, "rating/rmse": 0.9}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(metrics_table(metrics, "test"))
    lines = [line for line in capture.get().splitlines() if "ndcg@10" in line or "rmse" in line]
    assert len(lines) == 2
    assert [part for part in lines[0].split() if part[0] == "0"] == ["0.1310", "0.0090", "0.0450"]
