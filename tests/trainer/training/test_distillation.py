import numpy as np
import pytest
import tensorflow as tf

from config.training import DistillationConfig
from tests.trainer.small import (
    STATISTICS,
    draw_rows,
    many_tasks_config,
    small_catalogue,
    small_config,
    small_model,
    sparse_features,
)
from trainer.data.batching import LabelStatistics
from trainer.data.windows import dense_windows
from trainer.training.distillation import (
    LOSS,
    Distillation,
    answers,
    load_teacher,
    newest_version,
    target_indices,
    teach_function,
    teachable,
)

SETTINGS = DistillationConfig(teacher="", samples=4, temperature=2, weight=0.5)


@pytest.fixture(scope="module")
def teacher_path(tmp_path_factory):
    """A model of every kind of task, as version 12 of a folder."""
    module, model = tf.Module(), small_model(many_tasks_config(), seed=5)
    module.item_ids, module.model = tf.Variable(small_catalogue().item_ids, dtype=tf.string), model.variables
    module.teach = teach_function(model)
    folder = tmp_path_factory.mktemp("pushed")
    tf.saved_model.save(module, str(folder / "12"))
    (folder / "9").mkdir()
    return str(folder)


@pytest.fixture(scope="module")
def teacher(teacher_path):
    return load_teacher(teacher_path, small_catalogue().item_ids)


def batch(model):
    return dense_windows(sparse_features(draw_rows(3, 4)), model.spec)


def distillation(model, teacher):
    return Distillation(SETTINGS, model, teacher, small_catalogue().frequencies)


def test_a_loaded_teacher_answers_as_the_model_did(teacher):
    model = small_model(many_tasks_config(), seed=5)
    known = {name: batch(model)[name] for name in teachable(model)}
    item = tf.constant([3, 0], tf.int64)
    expected, found = answers(model, known, item), teacher.teach(known, item)
    assert set(found) == {"query", "candidates", *model.heads, *model.classifiers}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)
    assert found["rating"].shape == (len(target_indices(known)),)


def test_who_knows_what_the_teacher_knows_has_nothing_to_learn(teacher):
    model = small_model(many_tasks_config(), seed=5)
    losses = distillation(model, teacher).losses(batch(model))
    assert set(losses) == {LOSS, *(f"distillation/{name}" for name in model.config.tasks)}
    np.testing.assert_allclose(list(losses.values()), 0, atol=1e-5)


def test_a_task_that_only_one_knows_is_passed_over(teacher):
    model = small_model(small_config(features=many_tasks_config().features.model_dump()))
    losses = distillation(model, teacher).losses(batch(model))
    assert set(losses) == {LOSS, "distillation/retrieval", "distillation/rating", "distillation/like"}
    np.testing.assert_allclose(losses[LOSS], 0.5 * (sum(losses.values()) - losses[LOSS]), rtol=1e-5)


def test_the_losses_by_hand(teacher):
    made = distillation(small_model(many_tasks_config()), teacher)
    learned, taught = tf.constant([[2.0, 0.0]]), tf.constant([[0.0, np.log(9.0)]], tf.float32)
    # At temperature 2 the teacher's odds are 1 to 3, the student's e to 1.
    share = np.exp(1) / (1 + np.exp(1))
    expected = 4 * (0.25 * np.log(0.25 / share) + 0.75 * np.log(0.75 / (1 - share)))
    np.testing.assert_allclose(made._softmax_loss(learned, taught), expected, rtol=1e-5)
    np.testing.assert_allclose(made._task_loss("rating", tf.constant([1.0, 4]), tf.constant([1.0, 1])), 2)


def test_distilled_scores_are_free_of_a_model_s_own_factors():
    def teachers_with(statistics, **like):
        tasks = {name: task.model_dump() for name, task in small_config().tasks.items()}
        config = small_config(tasks={**tasks, "like": {**tasks["like"], **like}})
        return small_model(config, seed=5, labels=STATISTICS | {"rating": statistics})

    plain = teachers_with(LabelStatistics(3.0, 2.0))
    other = teachers_with(LabelStatistics(1.0, 4.0), positive_weight=10)
    known, item = {name: batch(plain)[name] for name in teachable(plain)}, tf.constant([0], tf.int64)
    found, expected = answers(other, known, item), answers(plain, known, item)
    np.testing.assert_allclose(found["like"], expected["like"], atol=1e-5)  # both start at the labels' odds
    np.testing.assert_allclose((found["rating"] - 1) / 4, (expected["rating"] - 3) / 2, atol=1e-5)
    assert plain.heads["rating"].unit == 0.5


def test_a_step_against_the_gradient_comes_nearer_to_the_teacher(teacher):
    model = small_model(small_config(features=many_tasks_config().features.model_dump()))
    made, window = distillation(model, teacher), batch(model)
    with tf.GradientTape() as tape:
        before = made.losses(window)[LOSS]
    learned = [model.candidates.ids.embeddings, *model.queries.project.trainable_variables]
    for variable, gradient in zip(learned, tape.gradient(before, learned), strict=True):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0
        variable.assign_sub(1e-3 * tf.convert_to_tensor(gradient))
    assert made.losses(window)[LOSS] < before


def test_the_newest_complete_version_teaches(teacher_path, tmp_path):
    assert newest_version(teacher_path) == newest_version(f"{teacher_path}/12") == f"{teacher_path}/12"
    with pytest.raises(FileNotFoundError, match=r"teacher` should be a SavedModel, or a folder of pushed versions"):
        newest_version(str(tmp_path))


def test_a_teacher_that_cannot_teach_says_what_to_do(teacher_path, tmp_path):
    module = tf.Module()
    module.answer = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ValueError, match=r"exported with `serving.teaches: true`"):
        load_teacher(str(tmp_path), small_catalogue().item_ids)
    with pytest.raises(ValueError, match="the same items in the same order"):
        load_teacher(teacher_path, small_catalogue().item_ids[::-1])
