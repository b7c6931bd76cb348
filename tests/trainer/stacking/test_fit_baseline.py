import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import USERS, draw_row, sampled, small_config, small_model, small_spec, write_rows
from trainer.data.dataset import WindowData
from trainer.metrics.prediction import Answers, area_under_curve
from trainer.stacking.fit_baseline import fit_rating_baselines
from trainer.stacking.recommender import LeftOut, StackedRecommender


def config(task="rating", **baseline):
    """One task with these baseline settings, the other without a baseline."""
    tasks = small_config().model_dump()["tasks"]
    none = {name: {**tasks[name], "baseline": None} for name in ("rating", "like")}
    return small_config(tasks={**tasks, **none, task: {**tasks[task], "baseline": baseline or None}})


def rows(count, seed, **flags):
    """Users whose mean ratings differ, which an untrained network cannot know."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        user = number % USERS
        stars = np.clip(1 + user // 2 + rng.integers(0, 2, 4), 1, 5)
        labels = {"outcome_stars": stars.tolist(), "label_rating": stars.astype(float).tolist()}
        labels["label_like"] = (stars >= 4).astype(float).tolist()
        yield draw_row(rng, 4, user_id=[user], **labels, **flags)


def data(folder, settings):
    spec = small_spec(settings)
    held_out = list(rows(30, 2, seen_item_id=[], is_cold_user=[0], is_target=[0, 0, 0, 1]))
    train = WindowData([write_rows(folder / "train.gz", list(rows(60, 1)))], spec)
    return train, WindowData([write_rows(folder / "eval.gz", held_out)], spec)


def errors(model, held_out, stacked=None):
    """The predictions' RMSE of ratings, and AUC and log loss of likes, on the last events of the eval windows."""
    (window,) = held_out.evaluation_batches(100)
    found = (stacked or model).rank(model.encode(window).newest(), window["item_id"][:, -1:])
    rating, like = (found[name].numpy()[:, 0] for name in ("rating", "like"))
    stars, is_liked = (window[f"label_{name}"].numpy()[:, -1] for name in ("rating", "like"))
    log_loss = -np.log(np.where(is_liked, like, 1 - like)).mean()
    return {
        "rmse": np.sqrt(np.mean((rating - stars) ** 2)),
        "auc": area_under_curve(Answers.unweighted(is_liked, like)),
        "log": log_loss,
    }


def test_weights_are_those_that_predict_the_eval_labels_best(tmp_path, capsys):
    settings = config(cosine=3, correlation=3)
    train, held_out = data(tmp_path, settings)
    model = small_model(settings)
    without = errors(model, held_out)
    stacked = StackedRecommender(model, None, fit_rating_baselines(model, train, sampled(held_out), LeftOut()))
    found = errors(model, held_out, stacked)
    session_biases = ("session_bias_60", "session_bias_3600", "session_bias_604800")
    (names,) = (baseline.names for baseline in stacked.baselines)
    assert set(names) - {"factors"} == {"bias", "cosine", "correlation", *session_biases}
    assert list(stacked.weights()) == ["rating"]
    assert list(stacked.weights()["rating"]) == ["network", *stacked.baselines[0].names]
    assert found["rmse"] < 0.75 < without["rmse"]
    assert (found["auc"], found["log"]) == (without["auc"], without["log"])
    assert f"rmse on eval (9 users): network alone {without['rmse']:.4f}, bias terms" in capsys.readouterr().out


def test_probabilities_have_a_baseline_too(tmp_path, capsys):
    settings = config("like", cosine=3, correlation=3)
    train, held_out = data(tmp_path, settings)
    model = small_model(settings)
    without = errors(model, held_out)
    stacked = StackedRecommender(model, None, fit_rating_baselines(model, train, sampled(held_out), LeftOut()))
    found = errors(model, held_out, stacked)
    assert [list(baseline.blends) for baseline in stacked.baselines] == [["like"]]
    assert found["auc"] > 0.9 > without["auc"]
    assert f"log loss on eval (9 users): network alone {without['log']:.4f}" in capsys.readouterr().out


def test_tasks_whose_labels_the_same_outcome_determines_share_a_baseline(tmp_path):
    tasks = small_config().model_dump()["tasks"]
    both = {name: {**tasks[name], "baseline": {"cosine": 3, "correlation": 3}} for name in ("rating", "like")}
    settings = small_config(tasks={**tasks, **both})
    train, held_out = data(tmp_path, settings)
    model = small_model(settings)
    without = errors(model, held_out)
    stacked = StackedRecommender(model, None, fit_rating_baselines(model, train, sampled(held_out), LeftOut()))
    found = errors(model, held_out, stacked)
    assert [list(baseline.blends) for baseline in stacked.baselines] == [["rating", "like"]]
    # The bias terms are those of ratings: they differ by more than 1.
    (window,) = held_out.evaluation_batches(100)
    state = model.encode(window).newest()
    assert np.ptp(stacked.baselines[0].parts(state, window["item_id"][:, -1:])["bias"]) > 2
    assert found["rmse"] < 0.75 < without["rmse"]
    assert found["auc"] > 0.9 > without["auc"]


def test_tasks_with_different_settings_have_different_baselines(tmp_path):
    tasks = small_config().model_dump()["tasks"]
    weighted = {"rating": {"weights": {"bias": 1.0}}, "like": {"weights": {"bias": 1.0, "factors": 0.5}}}
    both = {name: {**tasks[name], "baseline": baseline} for name, baseline in weighted.items()}
    settings = small_config(tasks={**tasks, **both})
    train, _ = data(tmp_path, settings)
    found = {
        name: baseline
        for baseline in fit_rating_baselines(small_model(settings), train, None, LeftOut())
        for name in baseline.blends
    }
    assert found["rating"] is not found["like"]
    assert ["factors" in found[name].names for name in weighted] == [False, True]


def test_a_log_without_times_has_no_session_bias(tmp_path):
    settings = config(weights={"bias": 1.0, "session_bias_60": 1.0})
    settings = settings.model_copy(
        update={"data": settings.data.model_copy(update={"interactions": timeless(settings)})}
    )
    train, _ = data(tmp_path, settings)
    (baseline,) = fit_rating_baselines(small_model(settings), train, None, LeftOut())
    assert not any(name.startswith("session_bias") for name in baseline.names)
    assert baseline.blends["rating"].weights == {"bias": 1.0}


def timeless(settings):
    return settings.data.interactions.model_copy(update={"time": None})


def test_configured_weights_need_no_eval_split(tmp_path):
    settings = config(weights={"bias": 1.0})
    train, _ = data(tmp_path, settings)
    model = small_model(settings)
    stacked = StackedRecommender(model, None, fit_rating_baselines(model, train, None, LeftOut()))
    (window,) = train.evaluation_batches(100)
    state = model.encode(window).newest()
    found = stacked.rank(state, window["item_id"][:, -1:])["rating"].numpy()[:, 0]
    stars = window["label_rating"].numpy()
    by_user = np.array([stars[np.arange(60) % USERS == user].mean() for user in range(USERS)])
    np.testing.assert_allclose(found, by_user[np.arange(60) % USERS], atol=0.4)


@pytest.mark.parametrize("baseline", [{}, {"cosine": 3}])
def test_without_configuration_or_eval_split_the_network_is_alone(tmp_path, baseline):
    settings = config(**baseline)
    train, held_out = data(tmp_path, settings)
    assert fit_rating_baselines(small_model(settings), train, None if baseline else sampled(held_out), LeftOut()) == []


def test_without_a_baseline_the_train_log_is_not_read(tmp_path):
    (tmp_path / "train.gz").write_bytes(b"not a TFRecord file")
    unreadable = WindowData([str(tmp_path / "train.gz")], small_spec(config()))
    assert fit_rating_baselines(small_model(config()), unreadable, unreadable, LeftOut()) == []


def test_weights_of_neighbours_alone_have_no_effect_if_no_outcome_determines_the_label(tmp_path):
    settings = config(weights={"cosine": 1.0})
    spec = small_spec(settings)
    shuffled = [{**row, "outcome_stars": [1, 1, 1, 1]} for row in rows(20, 1)]
    train = WindowData([write_rows(tmp_path / "shuffled.gz", shuffled)], spec)
    _, held_out = data(tmp_path, settings)
    assert fit_rating_baselines(small_model(settings), train, None, LeftOut()) == []
    assert fit_rating_baselines(small_model(settings), train, sampled(held_out), LeftOut()) == []


def test_the_served_graph_predicts_with_the_baseline(tmp_path):
    settings = config(weights={"network": 0.5, "bias": 0.5})
    train, _ = data(tmp_path, settings)
    model = small_model(settings)
    stacked = StackedRecommender(model, None, fit_rating_baselines(model, train, None, LeftOut()))
    graph = tf.function(lambda window: stacked.rank(model.encode(window).newest(), window["item_id"])["rating"])
    (window,) = train.evaluation_batches(100)
    eager = stacked.rank(model.encode(window).newest(), window["item_id"])["rating"]
    np.testing.assert_allclose(graph(window), eager, rtol=1e-5)
