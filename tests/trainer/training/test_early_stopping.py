import pytest
import tensorflow as tf

from tests.trainer.small import draw_rows, many_tasks_config, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.training.early_stopping import TaskStopping


def gradients(model, window, task):
    """By variable whether the task's loss has a gradient there."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss(window).tasks[task]
    found = tape.gradient(loss, model.trainable_variables)
    reached = [g is not None and bool(tf.reduce_any(tf.convert_to_tensor(g) != 0)) for g in found]
    return dict(zip((v.ref() for v in model.trainable_variables), reached, strict=True)), float(loss)


@pytest.mark.parametrize(("config", "task"), [(small_config(), "rating"), (many_tasks_config(), "genre")])
def test_a_task_that_reaches_no_further_trains_its_head_alone(config, task):
    model = small_model(config)
    window = dense_windows(sparse_features(draw_rows(0, 6)), model.spec)
    before, loss = gradients(model, window, task)
    model.reaches[task].assign(0.0)
    after, same = gradients(model, window, task)
    assert same == loss
    head = {v.ref() for v in (model.heads | model.classifiers)[task].trainable_variables}
    shared = before.keys() - head
    assert any(before[v] for v in shared)
    assert not any(after[v] for v in shared)
    assert {v: before[v] for v in head} == {v: after[v] for v in head}
    others = gradients(model, window, "like")[0]
    assert any(others[v] for v in shared)


def test_a_task_is_cut_off_once_its_own_loss_has_not_improved_for_some_epochs():
    model = small_model(small_config())
    stopping = TaskStopping(model, patience=2)
    seen = []
    for rating, like in ((2.0, 5.0), (3.0, 4.0), (1.0, 3.0), (1.0, 2.0), (1.5, 1.0), (0.5, 0.5)):
        stopping.end_epoch({"rating_loss": rating, "like_loss": like, "loss": 0.0})
        seen.append([float(model.reaches[name]) for name in ("rating", "like")])
    # Equal is no improvement; what is better later comes too late.
    assert seen == [[1, 1], [1, 1], [1, 1], [1, 1], [0, 1], [0, 1]]


def test_a_task_without_targets_in_eval_goes_on():
    model = small_model(small_config())
    stopping = TaskStopping(model, patience=1)
    for _ in range(3):
        stopping.end_epoch({"rating_loss": float("nan"), "loss": 1.0})
    assert all(float(reaches) == 1 for reaches in model.reaches.values())


def test_what_was_waited_for_is_restored(tmp_path):
    first, again = (small_model(small_config(), seed) for seed in (1, 2))
    stopping = TaskStopping(first, patience=2)
    for loss in (1.0, 2.0):
        stopping.end_epoch({"rating_loss": loss})
    path = tf.train.Checkpoint(model=first, stopping=stopping).write(str(tmp_path / "state"))
    resumed = TaskStopping(again, patience=2)
    tf.train.Checkpoint(model=again, stopping=resumed).restore(path)
    resumed.end_epoch({"rating_loss": 1.5})
    assert float(again.reaches["rating"]) == 0
