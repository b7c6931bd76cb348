import numpy as np
import pandas as pd

from benchmarks import choices
from benchmarks.choices import NDCG, RMSE, Row
from benchmarks.data import drifting_events, write_few
from benchmarks.protocol import Metric


def row(metric, model, error, **baselines):
    return Row("log", "warm", metric, 10, model, baselines, error)


def test_a_baseline_is_better_by_more_than_a_standard_error():
    assert row(NDCG, [0.1, 0.2], 0.02, popularity=0.16, recent=0.18).beaten_by == ["recent"]
    assert row(RMSE, [0.95], 0.01, bias=0.945).beaten_by == []
    assert row(RMSE, [0.95], 0.01, bias=0.93).beaten_by == ["bias"]


def test_rows_hold_the_models_and_the_baselines_metrics(monkeypatch):
    ranked = {"popularity": {"warm": Metric(0.2, 0.03, 5), "cold": Metric(0.3, 0.01, 7)}}
    baselines = {NDCG: ranked, RMSE: {"bias model": {"all": Metric(1.0, 0.1, 40)}}}
    monkeypatch.setattr(choices, "_baselines", lambda examples: baselines)
    slices = {"warm": {NDCG: 0.25, "stderr_ndcg@10": 0.04}, "cold": {}, "all": {RMSE: 0.9}}
    warm, rated = choices.rows_of("log", [{"examples": "", "slices": slices}])
    assert warm == Row("log", "warm", NDCG, 5, [0.25], {"popularity": 0.2}, 0.04)
    assert rated == Row("log", "all", RMSE, 40, [0.9], {"bias model": 1.0}, 0.1)


def test_few_events_are_kept_of_each_user(tmp_path):
    log = pd.DataFrame({"user_id": [1, 2, 1, 1, 2, 1], "item_id": range(6), "rating": 3, "timestamp": range(6)})
    log.to_csv(tmp_path / "interactions.csv", index=False)
    for name in ("items.csv", "users.csv"):
        (tmp_path / name).write_text(name)
    write_few(tmp_path, tmp_path / "few", events=3)
    found = pd.read_csv(tmp_path / "few" / "interactions.csv")
    assert found["user_id"].value_counts().to_dict() == {1: 3, 2: 2}
    assert found["timestamp"].is_monotonic_increasing
    assert (tmp_path / "few" / "users.csv").read_text() == "users.csv"


def test_popularity_drifts():
    rng = np.random.default_rng(0)
    log = drifting_events(400, rng.integers(0, 8, 300), rng.uniform(-120, 365, 300), rng)
    half = len(log) // 2
    early, late = (part["item_id"].value_counts() for part in (log[:half], log[half:]))
    assert len(set(early.index[:20]) & set(late.index[:20])) < 5
    assert not log.duplicated(["user_id", "item_id"]).any()
    assert log["rating"].between(1, 5).all()
