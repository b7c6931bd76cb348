import math
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import draw_eval_rows, draw_rows, sampled, small_config, small_model, write_rows
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.training.loop import TrainingLoop
from trainer.training.validation import Evaluator

HISTORY = {"encoder": "decay", "max_events": 6, "dropout": 0.3, "item_dropout": 0.2, "blank": 0.2}
TREND = {"trend": {"days": [0.005, 0.02]}}
WINDOWS = 10
QUICK = {"batch_size": WINDOWS}
"""An epoch of one step, where the number of epochs is what counts."""


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing would take longer than these few steps; the tests of replicas and of `run_fn` train in a graph."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "train.gz", draw_rows(0, WINDOWS))
    write_rows(folder / "eval.gz", draw_eval_rows(1, 6))
    return folder


def make_loop(files: Path, folder: Path, evaluate=None, logs=None, **training):
    training = {"early_stopping": None, **training}
    model = small_model(small_config(features=TREND, model={"history": HISTORY}, training=training))
    data = WindowData([str(files / "train.gz")], model.spec)
    evaluate = evaluate or Evaluator(model, sampled(WindowData([str(files / "eval.gz")], model.spec))).evaluate
    strategy, state = tf.distribute.get_strategy(), str(folder / "checkpoints")
    plan = BatchPlan.mixed(model.config.training.batch_size, WINDOWS)
    return TrainingLoop(model, strategy, data, plan, evaluate, state, logs), model


def weights(model):
    return {v.name: v.numpy() for v in model.variables}


def kill_in_epoch(number):
    calls = iter(range(1, 100))

    def evaluate():
        if next(calls) == number:
            raise KilledError
        return {"loss": 0.0}

    return evaluate


def kill_after(evaluate, epochs):
    calls = iter(range(1, 100))

    def evaluate_or_die():
        if next(calls) > epochs:
            raise KilledError
        return evaluate()

    return evaluate_or_die


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(files, folder):
    loop, model = make_loop(files, folder, logs=str(folder / "logs"))
    return loop.run(), weights(model)


def test_a_training_that_is_killed_inside_an_epoch_goes_on_after_its_last_step(files, tmp_path, whole):
    loop, model = make_loop(files, tmp_path, checkpoint_every_minutes=1e-9)
    refresh, steps = model.refresh_negatives, iter(range(100))

    def refresh_or_die():
        if next(steps) == 5:
            raise KilledError
        refresh()

    model.refresh_negatives = refresh_or_die
    with pytest.raises(KilledError):
        loop.run()
    assert sorted(path.name for path in (tmp_path / "checkpoints" / "last").glob("*.index")) == [
        "last-4.index",
        "last-5.index",
    ]
    loop, model = make_loop(files, tmp_path)
    model.refresh_negatives = lambda: next(steps)
    result = loop.run()
    assert next(steps) == 6 + 9 - 5  # no step was taken twice
    expected_result, expected = whole
    for name, values in weights(model).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert (result.epochs, result.steps) == (expected_result.epochs, expected_result.steps) == (3, 9)
    assert result.train == pytest.approx(expected_result.train, rel=1e-5)


def test_a_training_that_had_ended_is_not_repeated(files, tmp_path):
    losses = iter([{"loss": value} for value in (2.0, 1.0, 3.0, 1.0)])  # of three epochs, and of the best one again
    training = {"early_stopping": {}, "checkpoint_every_epochs": 2, **QUICK}
    loop, model = make_loop(files, tmp_path, evaluate=lambda: next(losses), **training)
    ended, expected = loop.run(), weights(model)
    again, model = make_loop(files, tmp_path, evaluate=kill_in_epoch(1), **training)
    assert again.run() == ended
    assert (ended.epochs, ended.best_epoch) == (3, 2)
    for name, values in weights(model).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_a_killed_training_goes_on_with_its_balancing(files, tmp_path):
    def balanced(folder, evaluate=lambda: {"loss": 0.0}):
        return make_loop(files, tmp_path / folder, evaluate=evaluate, epochs=2, batch_size=5, balancing="gradnorm")

    with pytest.raises(KilledError):
        balanced("killed", kill_in_epoch(2))[0].run()
    (killed, found), (whole, expected) = balanced("killed"), balanced("whole")
    killed.run()
    whole.run()
    for name, values in weights(expected).items():
        np.testing.assert_allclose(weights(found)[name], values, rtol=1e-5, atol=1e-7, err_msg=name)
    assert all(np.abs(variable).max() > 0 for variable in expected.balancing.non_trainable_variables)


OPTIONS = {
    "optimizer": {
        "warmup_steps": 0,
        "schedule": "plateau",
        "plateau": {"metric": "loss", "patience": 1, "factor": 0.1},
        "embeddings": {"name": "adagrad", "learning_rate": 0.1},
        "dense_weight_decay": 0.1,
    },
    "averaging": {"decay": 0.6},
}


def test_a_killed_training_goes_on_with_its_optimizers_plateau_and_average(files, tmp_path):
    def run(folder, evaluate):
        loop, model = make_loop(files, tmp_path / folder, evaluate=evaluate, epochs=4, batch_size=5, **OPTIONS)
        return loop, model, loop.run()

    def losses(*values):
        metrics = iter(values)
        return lambda: {"loss": next(metrics)}

    _, expected, _ = run("whole", losses(2.0, 2.0, 2.0, 1.0))
    with pytest.raises(KilledError):
        run("killed", kill_after(losses(2.0, 2.0), 2))
    loop, model, _ = run("killed", losses(2.0, 1.0))
    assert float(loop._plateau.factor) == pytest.approx(0.01)
    for name, values in weights(expected).items():
        np.testing.assert_allclose(weights(model)[name], values, rtol=1e-5, atol=1e-7, err_msg=name)


def test_averaged_weights_are_evaluated_and_returned(files, tmp_path):
    seen = []

    def evaluate():
        seen.append(weights(loop._model))
        return {"loss": 1.0}

    loop, model = make_loop(files, tmp_path / "averaged", evaluate=evaluate, epochs=2, averaging={"decay": 0.6})
    plain, raw = make_loop(files, tmp_path / "plain", evaluate=lambda: {"loss": 1.0}, epochs=2)
    loop.run()
    plain.run()
    name = model.queries.log_scale.name
    assert weights(model)[name] != weights(raw)[name]
    for name, values in seen[-1].items():
        np.testing.assert_array_equal(weights(model)[name], values, err_msg=name)


def test_early_stopping_keeps_the_best_average(files, tmp_path):
    seen, metrics = [], iter([0.1, 0.3, 0.2])

    def evaluate():
        seen.append(weights(model))
        return {"ndcg@3": next(metrics, 0.0)}

    stopping = {"metric": "ndcg@3", "patience": 1}
    averaged = {"averaging": {"decay": 0.6}, **QUICK}
    loop, model = make_loop(files, tmp_path, evaluate=evaluate, epochs=9, early_stopping=stopping, **averaged)
    assert loop.run().best_epoch == 2
    for name, values in seen[1].items():
        np.testing.assert_array_equal(weights(model)[name], values, err_msg=name)


def test_a_finished_training_does_nothing_again_until_its_checkpoints_go(files, folder, whole):
    loop, model = make_loop(files, folder)
    result = loop.run()
    assert result == whole[0]
    for name, values in weights(model).items():
        np.testing.assert_array_equal(values, whole[1][name])
    loop.remove_checkpoints()
    assert not (folder / "checkpoints").exists()


def test_the_loss_falls(files, tmp_path, whole):
    faster, _ = make_loop(files, tmp_path, epochs=4, optimizer={"learning_rate": 0.03, "warmup_steps": 2})
    assert faster.run().train["retrieval"] < whole[0].train["retrieval"] - 0.1


def test_steps_are_limited(files, tmp_path):
    result = make_loop(files, tmp_path, max_steps=4)[0].run()
    assert (result.steps, result.epochs) == (4, 2)


def scripted(metrics):
    values = iter(metrics)
    return lambda: {"ndcg@3": next(values), "loss": 1.0}


def test_early_stopping_keeps_the_best_weights(files, tmp_path):
    stopping = {"metric": "ndcg@3", "patience": 2}
    evaluate = scripted([0.1, 0.3, 0.2, 0.3, 0.9])
    loop, model = make_loop(files, tmp_path, evaluate=evaluate, epochs=9, early_stopping=stopping, **QUICK)
    result = loop.run()
    assert (result.epochs, result.best_epoch, result.steps) == (4, 2, 4)
    # The schedule is that of nine epochs, so the second epoch's weights are those of the same training cut there.
    cut, expected = make_loop(files, tmp_path / "cut", evaluate=kill_in_epoch(3), epochs=9, **QUICK)
    with pytest.raises(KilledError):
        cut.run()
    loop, expected = make_loop(files, tmp_path / "cut", epochs=9, **QUICK)
    loop._state.restore()
    assert int(loop._state.epoch) == 2
    for name, values in weights(expected).items():
        np.testing.assert_allclose(weights(model)[name], values, rtol=1e-5, atol=1e-7, err_msg=name)


def test_of_epochs_that_differ_by_noise_the_last_is_kept(files, tmp_path):
    """A quarter of the standard error 0.08 is 0.02: 0.3 and 0.29 are alike, 0.27 and what follows is worse."""
    metrics = iter([0.1, 0.3, 0.29, 0.27, 0.2, 0.29])
    evaluate = lambda: {"ndcg@3": next(metrics), "stderr_ndcg@3": 0.08}  # noqa: E731
    stopping = {"metric": "ndcg@3", "patience": 2}
    result = make_loop(files, tmp_path, evaluate=evaluate, epochs=9, early_stopping=stopping, **QUICK)[0].run()
    assert (result.epochs, result.best_epoch) == (5, 3)


def test_tasks_that_have_learned_train_their_heads_alone(files, tmp_path):
    losses = iter([(5.0, 3.0), (4.0, 1.0), (3.0, 2.0), (2.0, 2.0), (1.0, 0.5), (1.0, 0.5)])
    evaluate = lambda: dict(zip(("like_loss", "rating_loss"), next(losses), strict=True))  # noqa: E731
    stopping = {"metric": "like_loss", "task_patience": 2}
    loop, model = make_loop(files, tmp_path, evaluate=evaluate, epochs=5, early_stopping=stopping, **QUICK)
    assert loop.run().best_epoch == 5
    assert {name: float(reaches) for name, reaches in model.reaches.items()} == {"rating": 0, "like": 1}


def test_without_a_patience_five_epochs_of_a_short_training_may_be_worse(files, tmp_path):
    evaluate = scripted([0.5, *[0.1] * 9])
    loop, _ = make_loop(files, tmp_path, evaluate=evaluate, epochs=7, early_stopping={}, **QUICK)
    result = loop.run()
    assert (result.epochs, result.best_epoch) == (6, 1)


@pytest.mark.parametrize(
    ("metrics", "best"),
    [
        ({"ndcg@1": [3, 2, 1], "ndcg@3": [1, 3, 2], "loss": [2, 1, 0]}, 2),  # the longest list, whatever the loss
        ({"rating/rmse": [1, 2, 3], "loss": [3, 2, 1]}, 3),  # no task retrieves, or no user has a history
    ],
)
def test_the_order_stops_where_a_task_retrieves_and_else_the_loss(files, tmp_path, metrics, best):
    epochs = chain(range(3), [best - 1])  # the best one's weights are evaluated again

    def evaluate():
        epoch = next(epochs)
        return {name: float(values[epoch]) for name, values in metrics.items()}

    loop, _ = make_loop(files, tmp_path, evaluate=evaluate, epochs=3, early_stopping={"patience": 3}, **QUICK)
    assert loop.run().best_epoch == best


def test_a_lower_loss_is_better(files, tmp_path):
    values = iter([3.0, 2.0, 2.5, math.pi])
    loop, _ = make_loop(
        files,
        tmp_path,
        evaluate=lambda: {"retrieval_loss": next(values)},
        early_stopping={"metric": "retrieval_loss", "patience": 1},
        **QUICK,
    )
    result = loop.run()
    assert (result.epochs, result.best_epoch) == (3, 2)


def test_an_unknown_metric_is_named(files, tmp_path):
    loop, _ = make_loop(files, tmp_path, early_stopping={"metric": "ndcg@7"})
    with pytest.raises(ValueError, match=r"loss, retrieval_loss.*Received: ndcg@7"):
        loop.run()


def test_a_loss_that_is_no_number_stops_the_training(files, tmp_path):
    loop, model = make_loop(files, tmp_path)
    model.queries.log_scale.assign(float("nan"))
    with pytest.raises(FloatingPointError, match="retrieval is not finite"):
        loop.run()


def test_tensorboard_gets_the_figures(folder, whole):
    tags = {
        split: {
            value.tag: tf.make_ndarray(value.tensor).item()
            for path in (folder / "logs" / split).iterdir()
            for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value
        }
        for split in ("train", "eval")
    }
    assert {"retrieval", "rating", "like", "learning_rate"} <= set(tags["train"])
    assert tags["train"]["weight/rating"] == 1
    assert -1 <= tags["train"]["gradient_cosine/rating/like"] <= 1
    assert {"ndcg@3", "rating/rmse"} <= set(tags["eval"])
    assert tags["eval"]["loss"] == pytest.approx(whole[0].evaluation["loss"])


def test_where_the_best_weights_are_damaged_the_best_that_are_left_are_kept(files, tmp_path):
    """Of three epochs the second was the best. The third beats the first."""
    stopping = {"early_stopping": {"metric": "ndcg@3", "patience": 3}, "epochs": 3, **QUICK}
    first, _ = make_loop(files, tmp_path, evaluate=scripted([0.1, 0.3, 0.2]), **stopping)
    with pytest.raises(StopIteration):  # killed before the metrics of the weights that it kept
        first.run()
    file = tmp_path / "checkpoints" / "best" / "best-2.index"
    file.write_bytes(file.read_bytes()[:-9])
    loop, _ = make_loop(files, tmp_path, evaluate=scripted([0.2, 0.2]), **stopping)
    result = loop.run()
    assert (result.epochs, result.best_epoch) == (3, 3)
    assert f"{file} is damaged" in result.warnings[0]
