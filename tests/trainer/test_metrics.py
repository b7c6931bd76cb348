import numpy as np
import pytest

from tests.trainer.small import ITEMS, draw_eval_rows, small_config, small_model, write_rows
from trainer import metrics
from trainer.data import WindowData
from trainer.metrics import Evaluator, area_under_curve


def test_figures_equal_those_computed_one_by_one(tmp_path):
    rows = draw_eval_rows(2, 20)
    rows[3]["is_cold_user"], rows[4]["is_positive"] = [1], [*rows[4]["is_positive"][:-1], 0]
    rows[5]["weight_rating"] = [0.0] * len(rows[5]["item_id"])
    model = small_model(small_config())
    data = WindowData([write_rows(tmp_path / "eval.gz", rows)], model.spec)
    found = Evaluator(model, data).evaluate()
    (window,) = data.evaluation_batches(20)
    state = model.encode(window).newest()
    predictions = model.rank(state, window["item_id"][:, -1:])["rating"].numpy()[:, 0]
    scores = state.embedding.numpy() @ model.candidate_embeddings().numpy().T
    gains, errors = [], []
    for row, score, prediction in zip(rows, scores, predictions, strict=True):
        target, seen = row["item_id"][-1], row["seen_item_id"]
        if not row["is_cold_user"][0] and row["is_positive"][-1]:
            rank = np.inf
            if target not in seen:
                rank = 1 + sum(score[i] > score[target] for i in range(ITEMS) if i not in seen)
            gains.append(1 / np.log2(rank + 1) if rank <= 3 else 0)
        if row["weight_rating"][-1]:
            errors.append(prediction - row["label_rating"][-1])
    assert len(gains) == 18
    assert found["ndcg@3"] == pytest.approx(np.mean(gains), rel=1e-5)
    assert found["hr@3"] == pytest.approx(np.mean(np.array(gains) > 0))
    assert found["rating/rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-4)
    losses = model.task_losses(window)
    assert found["rating_loss"] == pytest.approx(float(losses["rating"]), rel=1e-4)
    assert found["loss"] == pytest.approx(float(model.compute_loss(window)), rel=1e-4)


def test_of_a_large_split_the_first_windows_are_looked_at(tmp_path, monkeypatch):
    rows = draw_eval_rows(2, 150)
    model = small_model(small_config())
    first, every = (
        Evaluator(model, WindowData([write_rows(tmp_path / f"{len(part)}.gz", part)], model.spec)).evaluate()
        for part in (rows[:128], rows)
    )
    assert first != every
    monkeypatch.setattr(metrics, "_BATCHES", 1)
    assert Evaluator(model, WindowData([str(tmp_path / "150.gz")], model.spec)).evaluate() == pytest.approx(first)


def test_area_under_curve_counts_ordered_pairs():
    score = np.array([0.1, 0.4, 0.4, 0.8, 0.2])
    label = np.array([0, 1, 0, 1, 1])
    pairs = [(p > n) + (p == n) / 2 for p in score[label == 1] for n in score[label == 0]]
    assert area_under_curve(score, label) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_area_under_curve_of_one_class_is_undefined(label):
    assert np.isnan(area_under_curve(np.array([0.1, 0.2]), np.array(label)))
