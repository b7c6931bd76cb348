import numpy as np
import pytest

from tests.trainer.small import ITEMS, draw_eval_rows, sampled, small_config, small_model, write_rows
from trainer.data.dataset import WindowData
from trainer.data.user_sample import Coverage, UserSample
from trainer.model import popularity, recommender
from trainer.training import validation
from trainer.training.validation import Evaluator, UserGains


def test_figures_equal_those_computed_one_by_one(tmp_path):
    rows = draw_eval_rows(2, 20)
    rows[3]["is_cold_user"], rows[4]["is_positive"] = [1], [*rows[4]["is_positive"][:-1], 0]
    rows[5]["weight_rating"] = [0.0] * len(rows[5]["item_id"])
    model = small_model(small_config())
    data = WindowData([write_rows(tmp_path / "eval.gz", rows)], model.spec)
    found, error_of = Evaluator(model, sampled(data)).measure()
    (window,) = data.evaluation_batches(20)
    state = model.encode(window).newest()
    predictions = model.rank(state, window["item_id"][:, -1:])["rating"].numpy()[:, 0]
    scores = state.embedding.numpy() @ model.candidate_embeddings().numpy().T
    gains, errors = {}, {}
    for row, score, prediction in zip(rows, scores, predictions, strict=True):
        target, seen, user = row["item_id"][-1], row["seen_item_id"], row["user_id"][0]
        if row["is_positive"][-1]:
            rank = np.inf
            if target not in seen:
                rank = 1 + sum(score[i] > score[target] for i in range(ITEMS) if i not in seen)
            gains.setdefault(user, []).append(1 / np.log2(rank + 1) if rank <= 3 else 0)
        if row["weight_rating"][-1]:
            errors.setdefault(user, []).append(prediction - row["label_rating"][-1])
    by_user = [np.mean(own) for own in gains.values()]
    assert 3 < len(by_user) < sum(map(len, gains.values())) == 19
    assert found["ndcg@3"] == pytest.approx(np.mean(by_user), rel=1e-5)
    assert error_of["ndcg@3"] == pytest.approx(np.std(by_user, ddof=1) / len(by_user) ** 0.5, rel=1e-5)
    assert found["hr@3"] == pytest.approx(np.mean([max(own) > 0 for own in gains.values()]))
    squares = [np.square(own) for own in errors.values()]
    mean = np.mean(np.concatenate(squares))
    assert found["rating/rmse"] == pytest.approx(mean**0.5, rel=1e-4)
    off = [np.sum(own - mean) for own in squares]
    of_mean = np.std(off, ddof=1) * len(off) ** 0.5 / sum(map(len, squares))
    assert error_of["rating/rmse"] == pytest.approx(of_mean / (2 * mean**0.5), rel=1e-3)
    losses = model.compute_loss(window).tasks
    assert found["rating_loss"] == pytest.approx(float(losses["rating"]), rel=1e-4)
    assert found["loss"] == pytest.approx(float(model.compute_loss(window).total), rel=1e-4)


def test_sampled_targets_stand_for_all_of_a_user():
    """Of the first user's four targets two are sampled, at positions 1 and 3 of the one list; the second misses."""
    sample = UserSample(None, [], np.array([0, 0, 0, 1]), np.array([4.0, 1.0]), Coverage(2, 0, 4, 2, 6))
    rank, is_counted = np.array([1.0, 3.0, 1.0, np.inf]), np.array([True, True, False, True])
    gain = 1 + 1 / np.log2(4)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    one, own = (UserGains(sample, is_counted, one_list) for one_list in (True, False))
    np.testing.assert_allclose(one.ndcg(rank, 3), [gain / 2 * 4 / ideal if gain / 2 * 4 < ideal else 1, 0])
    np.testing.assert_allclose(one.ndcg(rank, 1), [1.0, 0])
    np.testing.assert_allclose(own.ndcg(rank, 3), [gain / 2, 0])
    np.testing.assert_allclose(own.hits(rank, 2), [0.5, 0])


@pytest.mark.parametrize("features", [{"trend": {"days": []}}, {"trend": {"days": [0.01, 0.03]}}])
def test_blocks_of_rows_change_no_metric(tmp_path, monkeypatch, features):
    """Windows in the order of their times, five rows of scores at once."""
    model = small_model(small_config(features=features))
    data = WindowData([write_rows(tmp_path / "eval.gz", draw_eval_rows(2, 33))], model.spec)
    whole = Evaluator(model, sampled(data)).measure()
    heights = []
    monkeypatch.setattr(validation, "_CELLS", 5 * ITEMS)
    monkeypatch.setattr(popularity, "_DENSE", 0)
    monkeypatch.setattr(recommender, "_EMBEDDED", 5)
    keep = validation.target_ranks
    monkeypatch.setattr(validation, "target_ranks", lambda *values: heights.append(values[0].shape) or keep(*values))
    found = Evaluator(model, sampled(data)).measure()
    assert len(heights) == 1  # traced once
    assert found.metrics == pytest.approx(whole.metrics, rel=1e-5)
    assert found.errors == pytest.approx(whole.errors, rel=1e-5)
