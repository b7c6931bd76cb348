import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from tests.trainer.small import ITEMS, sampled, small_config, small_model, small_spec, write_rows
from tests.trainer.stacking.test_train_log import row
from trainer.data.dataset import WindowData
from trainer.stacking.fit_neighbours import Kind, fit_neighbours, joined_tables
from trainer.stacking.neighbours import Neighbours
from trainer.stacking.recommender import LeftOut, StackedRecommender
from trainer.training.validation import Evaluator

NEXT = {0: 4, 4: 8, 8: 2}
"""Whoever has the first goes on to the second, which untrained towers cannot know."""


def config(**neighbours):
    """Untrained towers whose scores the tried weights outweigh; of random ones not all do."""
    model = small_config().model.model_dump()
    history = {**model["history"], "encoder": "decay"}
    return small_config(model={**model, "history": history, "neighbours": neighbours})


def write(folder, settings):
    spec = small_spec(settings)
    rows = [row(user, list(pair)) for user, pair in enumerate([*NEXT.items()] * 3)]
    held_out = [{**r, "seen_item_id": r["item_id"][:1], "is_cold_user": [0], "is_target": [0, 1]} for r in rows[:3]]
    train = WindowData([write_rows(folder / "train.gz", rows)], spec)
    return train, sampled(WindowData([write_rows(folder / "eval.gz", held_out)], spec))


def test_the_weights_that_rank_the_eval_targets_best_are_chosen(tmp_path, capsys):
    settings = config()
    train, held_out = write(tmp_path, settings)
    model = small_model(settings)
    without = Evaluator(model, held_out).evaluate()
    stacked = StackedRecommender(model, fit_neighbours(model, train, held_out, LeftOut()))
    assert stacked.neighbours is not None
    found = Evaluator(model, held_out, stacked).evaluate()
    assert found["ndcg@3"] == 1 > without["ndcg@3"]
    assert found["retrieval_loss"] == without["retrieval_loss"]
    assert "ndcg@100 of 3 eval users" in capsys.readouterr().out
    weights = stacked.weights()
    assert list(weights) == ["retrieval"]
    assert list(weights["retrieval"]) == ["network", "cosine", "regression", "transitions"]
    assert weights["retrieval"]["network"] == 1
    assert weights["retrieval"]["transitions"] > 0


def test_configured_weights_need_no_eval_split(tmp_path):
    settings = config(weights={"transitions": 3.0})
    train, _ = write(tmp_path, settings)
    neighbours = fit_neighbours(small_model(settings), train, None, LeftOut())
    scores = neighbours.scores(tf.constant([[0], [2]], tf.int64)).numpy()
    # Item 4 always followed item 0, and six users have it.
    np.testing.assert_allclose(scores[0], np.eye(ITEMS)[4] * 3 / 6**0.3, rtol=1e-6)
    assert not scores[1].any()


@pytest.mark.parametrize(("ties", "has_order"), [("rows", True), ("random", False)])
def test_a_log_without_times_has_transitions_where_its_rows_have_an_order(tmp_path, ties, has_order):
    settings = config(weights={"transitions": 3.0})
    interactions = {"path": "x.csv", "user": "u", "item": "i", "time": None}
    model, split = settings.model.model_dump(), {"method": "random", "ties": ties}
    timeless = small_config(data={"interactions": interactions}, model=model, split=split)
    train, _ = write(tmp_path, timeless)
    assert (fit_neighbours(small_model(timeless), train, None, LeftOut()) is not None) == has_order


def test_configured_weights_of_missing_kinds_are_dropped(tmp_path):
    settings = config(weights={"cosine": 1.5, "transitions": 3.0})
    interactions = {"path": "x.csv", "user": "u", "item": "i", "time": None}
    model, split = settings.model.model_dump(), {"method": "random", "ties": "random"}
    timeless = small_config(data={"interactions": interactions}, model=model, split=split)
    train, _ = write(tmp_path, timeless)
    assert dict(fit_neighbours(small_model(timeless), train, None, LeftOut()).weights) == {"cosine": 1.5}


@pytest.mark.parametrize("neighbours", [None, {"cosine": 0, "regression": 0, "transitions": 0}])
def test_nothing_configured_nothing_added(tmp_path, neighbours):
    model = small_config().model.model_dump()
    settings = small_config(model={**model, "neighbours": neighbours})
    assert fit_neighbours(small_model(settings), *write(tmp_path, settings), LeftOut()) is None


def test_nothing_to_choose_on_nothing_added(tmp_path):
    settings = config()
    train, _ = write(tmp_path, settings)
    assert fit_neighbours(small_model(settings), train, None, LeftOut()) is None


def test_kinds_that_do_not_help_have_no_weight(tmp_path):
    """The eval target is what the towers rank first already, and what never followed."""
    settings = config()
    train, _ = write(tmp_path, settings)
    model = small_model(settings)
    window = {**row(0, [0, 0]), "seen_item_id": [0, 4], "is_cold_user": [0], "is_target": [0, 1]}
    (batch,) = WindowData([write_rows(tmp_path / "a.gz", [window])], small_spec(settings)).evaluation_batches(1)
    scores = tf.linalg.matvec(model.candidate_embeddings(), model.encode(batch).newest().embedding[0]).numpy()
    scores[[0, 4]] = -np.inf
    known = {**window, "item_id": [0, int(np.argmax(scores))]}
    data = WindowData([write_rows(tmp_path / "b.gz", [known])], small_spec(settings))
    left_out = LeftOut()
    assert fit_neighbours(model, train, sampled(data), left_out) is None
    assert list(left_out.reasons["retrieval"]) == ["cosine", "regression", "transitions"]
    # The first position by the towers is the best there is.
    for why in left_out.reasons["retrieval"].values():
        assert why.startswith("ndcg@100 of 1 eval users: ")
        assert why.endswith("1.0000 by the towers, 1.0000 as chosen")


def test_kinds_of_one_decay_become_one_table():
    links = sp.csr_matrix(np.array([[0, 1.0], [2.0, 0]], np.float32))
    kinds = {"a": Kind(links, 1.0), "b": Kind(links, 0.5), "c": Kind(links.T.tocsr(), 1.0), "d": Kind(links, 0.9)}
    tables = joined_tables(kinds, {"a": 1.0, "b": 10.0, "c": 100.0, "d": 0.0})
    history = tf.constant([[0, 1]], tf.int64)
    found = [Neighbours([table], 2).scores(history).numpy().tolist() for table in tables]
    assert found == [[[2 + 100, 1 + 200]], [[20, 5]]]
