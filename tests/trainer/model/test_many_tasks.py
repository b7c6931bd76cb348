"""Tasks of every kind beside each other, in one model."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import (
    MANY_TASKS,
    draw_eval_rows,
    draw_rows,
    encoder_config,
    many_tasks_config,
    sampled,
    small_model,
    sparse_features,
    write_rows,
)
from trainer.data.dataset import WindowData
from trainer.data.windows import Window, dense_windows
from trainer.layers.interaction import History
from trainer.metrics.ordering import Scores, order_metrics
from trainer.model.recommender import RecommenderModel
from trainer.training.validation import Evaluator

CONFIG = many_tasks_config(tasks={"reading": {"kind": "listwise", "label": "rating", "loss": "softmax", "length": 4}})


@pytest.fixture(scope="module", params=[False, True], ids=["", "target attention"])
def model(request: pytest.FixtureRequest) -> RecommenderModel:
    history = {**encoder_config("attention+decay").model.history.model_dump(), "target_attention": request.param}
    return small_model(many_tasks_config(model={"history": history}))


def batch(model: RecommenderModel, count: int = 4) -> Window:
    return dense_windows(sparse_features(draw_rows(3, count)), model.spec)


def raw_scores(
    model: RecommenderModel, window: Window, task: str, row: int, position: int, items: list[int]
) -> np.ndarray:
    """The task's scores of items by the query at one position."""
    state, item = model.encode(window), tf.constant([items], tf.int64)
    vectors, attended = model.candidates.vectors(item), None
    if model.target_attention is not None:
        history = History(
            state.history.events[row : row + 1], state.history.sees[row : row + 1, position : position + 1]
        )
        attended = model.target_attention(vectors, history)
    hidden = {name: values[row : row + 1, position] for name, values in state.hidden.items()}
    pairs = model.interaction(hidden, vectors, attended)
    return model.heads[task](pairs[model.sharing.state_of(task)], item)[0].numpy()


def test_every_task_has_a_loss(model):
    losses = model.compute_loss(batch(model)).tasks
    assert set(losses) == {"retrieval", "rating", "like", *MANY_TASKS}
    assert all(float(loss) > 0 for loss in losses.values())


def test_every_weight_learns(model):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch(model, 16), training=True).total
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [v.name for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None] == []


def test_the_pairwise_loss_is_the_mean_over_pairs_scored_before_the_earlier_event(model):
    window = batch(model)
    item, label, mask = (window[name].numpy() for name in ("item_id", "label_order", "mask"))
    losses = []
    for row, first in np.argwhere(mask):
        for second in range(first + 1, min(first + 4, item.shape[1])):
            if label[row, first] != label[row, second] and item[row, first] != item[row, second]:
                scores = raw_scores(model, window, "order", row, first, [item[row, first], item[row, second]])
                better = np.sign(label[row, first] - label[row, second])
                losses.append(np.log1p(np.exp(-better * (scores[0] - scores[1]))))
    assert float(model.compute_loss(window).tasks["order"]) == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_listwise_loss_is_the_mean_over_sessions_scored_before_their_first_event(model):
    window = batch(model)
    item, label, session, mask = (window[n].numpy() for n in ("item_id", "label_page", "session_page", "mask"))
    losses = []
    for row in range(len(item)):
        for page in set(session[row][mask[row]].tolist()):
            positions = np.flatnonzero((session[row] == page) & mask[row])
            if len(set(label[row, positions].tolist())) > 1:
                scores = raw_scores(model, window, "page", row, int(positions[0]), item[row, positions].tolist())
                wanted = np.exp(label[row, positions] / 0.5)
                losses.append(np.log(np.exp(scores).sum()) - (wanted / wanted.sum()) @ scores)
    assert float(model.compute_loss(window).tasks["page"]) == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_multiclass_loss_is_that_of_the_items_genre(model):
    window = batch(model)
    state = model.encode(window).hidden[model.sharing.state_of("genre")]
    losses = []
    for row, position in np.argwhere(window["mask"].numpy()):
        item = int(window["item_id"][row, position])
        if item < 11 and item % 4 < 2:  # the vocabulary: two of four categories, an OOV bucket, the missing one
            logits = model.classifiers["genre"](state[row : row + 1, position])[0].numpy()
            log_sum = np.log(np.exp(logits).sum())
            losses.append(0.9 * (log_sum - logits[item % 4]) + 0.1 * (log_sum - logits.mean()))
    assert float(model.compute_loss(window).tasks["genre"]) == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("task", ["order", "page"])
def test_what_is_compared_tells_nothing_about_itself(task, model):
    """Of two events compared with each other neither the outcome nor that they are positives reaches the loss."""
    row = next(r for r in draw_rows(5, 40) if len(r["item_id"]) == 2 and len(set(r["label_page"])) == 2)
    told = row | {
        "outcome_stars": [5 - s for s in row["outcome_stars"]],
        "outcome_dwell": [3.0, -3.0],
        "is_positive": [0, 0],
    }
    losses = [model.compute_loss(dense_windows(sparse_features([r]), model.spec)).tasks[task] for r in (row, told)]
    assert float(losses[0]) == float(losses[1]) > 0


def test_several_tasks_of_a_kind_stand_side_by_side():
    model = small_model(CONFIG)
    window = batch(model)
    losses = {name: float(loss) for name, loss in model.compute_loss(window).tasks.items()}
    assert len({losses["like"], losses["buy"]}) == len({losses["page"], losses["reading"]}) == 2
    other = {**window, "label_buy": 1 - window["label_buy"]}
    changed = {name for name, loss in model.compute_loss(other).tasks.items() if float(loss) != losses[name]}
    assert changed == {"buy"}


def test_the_epochs_figures_are_those_of_the_predictions(tmp_path):
    model = small_model(many_tasks_config())
    rows = draw_eval_rows(2, 20)
    data = WindowData([write_rows(tmp_path / "eval.gz", rows)], model.spec)
    found = Evaluator(model, sampled(data)).evaluate()
    (window,) = data.evaluation_batches(20)
    state, item = model.encode(window).newest(), window["item_id"][:, -1]
    probabilities, shares = model.interests(state)["genre"].numpy(), model.class_shares(item)["genre"].numpy()
    counted = shares.any(axis=1)
    right = (shares * (probabilities == probabilities.max(axis=1, keepdims=True))).sum(axis=1)[counted]
    assert found["genre/accuracy"] == pytest.approx(right.mean())
    assert found["genre/log_loss"] == pytest.approx(
        -np.log((probabilities * shares).sum(axis=1)[counted]).mean(), rel=1e-5
    )
    score = model.rank(state, item[:, tf.newaxis])["order"][:, 0].numpy()
    user, label = window["user_id"].numpy(), window["label_order"][:, -1].numpy()
    expected = np.nanmean(order_metrics(Scores(user, label, score)), axis=1)
    assert [found["order/pairwise_accuracy"], found["order/ndcg"]] == pytest.approx(expected.tolist(), rel=1e-5)
    assert {"order_loss", "page_loss", "genre_loss", "buy/auc"} <= set(found)
