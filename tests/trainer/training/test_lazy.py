import time

import numpy as np
import pytest
import tensorflow as tf

from config.training import OptimizerConfig
from trainer.training.optimizers import make_optimizer, updates_rows

ROWS = 5
ADAMW = {"name": "adamw", "weight_decay": 0.5}
RULES = {
    "adamw": ADAMW,
    "adam": {"name": "adam"},
    "momentum": {"name": "sgd", "momentum": 0.9},
    "nesterov": {"name": "sgd", "momentum": 0.9, "nesterov": True},
    "composite": {**ADAMW, "embeddings": {"name": "adamw", "learning_rate": 0.2}, "dense_weight_decay": 0.1},
}


def slices(rows, values):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows, tf.int64), tf.constant([ROWS, 2]))


class Training:
    """A table, a kernel and a bias by item from random values, at the rate 0.1 without a warm-up."""

    def __init__(self, rule, is_lazy=True):
        rng = np.random.default_rng(1)
        starts = {"item_embedding/embeddings": [ROWS, 2], "kernel": [2, 2], "bias": [ROWS]}
        self.weights = [tf.Variable(rng.normal(size=s), dtype=tf.float32, name=name) for name, s in starts.items()]
        self.table, self.kernel, self.bias = self.weights
        config = OptimizerConfig(**{"learning_rate": 0.1, "warmup_steps": 0, "schedule": "constant", **rule})
        self.optimizer = make_optimizer(config, 10, self.weights, is_lazy=is_lazy)

    @tf.function
    def step(self, table, bias=None):
        zeros = tf.zeros([ROWS]) if bias is None else bias
        pairs = zip([table, 0.1 * tf.ones([2, 2]), zeros], self.weights, strict=True)
        self.optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_with_all_rows_in_every_step_it_is_the_dense_optimizer(rule):
    lazy, dense = Training(rule), Training(rule, is_lazy=False)
    rng = np.random.default_rng(0)
    for _ in range(6):
        rows, values = rng.permutation(ROWS), rng.normal(size=[ROWS, 2])
        bias = tf.IndexedSlices(tf.constant(values[:, 0], tf.float32), tf.constant(rows), tf.constant([ROWS]))
        lazy.step(slices(rows, values), bias)
        dense.step(tf.convert_to_tensor(slices(rows, values)), tf.convert_to_tensor(bias))
    for found, expected in zip(lazy.weights, dense.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", ["adam", "momentum"])
def test_what_another_worker_changes_while_the_gradient_is_computed_is_kept(rule):
    training = Training(RULES[rule])
    slots = [v for v in training.optimizer.variables if v.shape == [ROWS, 2]]
    changed = [training.table, *slots] if rule == "adam" else slots

    def gradient():
        time.sleep(0.2)
        for variable in changed:
            variable.assign(tf.ones([ROWS, 2]))
        return tf.zeros([1, 2])

    @tf.function
    def step():
        values = tf.ensure_shape(tf.py_function(gradient, [], tf.float32), [1, 2])
        training.step(tf.IndexedSlices(values, tf.constant([1], tf.int64), tf.constant([ROWS, 2])))

    step()
    kept = {"adam": [0.9, 0.999], "momentum": [0.9]}[rule]
    np.testing.assert_allclose([slot.numpy()[1] for slot in slots], [[beta, beta] for beta in kept], rtol=1e-5)
    if rule == "adam":  # its step is 0.1 m / sqrt(v), with the bias correction of the first one
        corrected = 0.1 * np.sqrt(1 - 0.999) / (1 - 0.9) * 0.9 / np.sqrt(0.999)
        np.testing.assert_allclose(training.table.numpy()[1], 1 - corrected, rtol=1e-4)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rows_without_a_gradient_stay_bit_for_bit(rule):
    training = Training(rule)
    for rows in ([0, 3], [3], []):
        before = training.table.numpy()
        training.step(slices(rows, np.ones([len(rows), 2])))
        changed = np.flatnonzero((training.table.numpy() != before).any(axis=1))
        assert changed.tolist() == sorted(rows)


def test_a_row_is_updated_by_hand():
    training = Training({"name": "adam", "clip_norm": 100})
    start = training.table.numpy()[3]
    training.step(slices([1], [[1, 1]]))
    training.step(slices([3], [[2, -1]]))
    training.step(slices([1], [[1, 1]]))
    training.step(slices([3], [[4, 1]]))
    # Moments of the two steps with a gradient, bias corrections of the second and the fourth step.
    m = np.array([0.1 * 2, 0.1 * -1])
    v = np.array([0.001 * 4, 0.001 * 1])
    expected = start - 0.1 * np.sqrt(1 - 0.999**2) / (1 - 0.9**2) * m / np.sqrt(v)
    m, v = 0.9 * m + 0.1 * np.array([4, 1]), 0.999 * v + 0.001 * np.array([16, 1])
    expected -= 0.1 * np.sqrt(1 - 0.999**4) / (1 - 0.9**4) * m / np.sqrt(v)
    np.testing.assert_allclose(training.table[3], expected, rtol=1e-4)


def test_a_row_catches_up_with_the_decay_of_the_steps_between():
    training = Training({**ADAMW, "schedule": "linear"})
    start = training.table.numpy()
    for rows in ([2], [1], [1], [2]):
        training.step(slices(rows, np.zeros([1, 2])))
    # The rates are 0.1, 0.09, 0.08, 0.07, of which half is the decay.
    np.testing.assert_allclose(training.table[2], start[2] * 0.95 * 0.955 * 0.96 * 0.965, rtol=1e-5)
    np.testing.assert_allclose(training.table[1], start[1] * 0.95 * 0.955 * 0.96, rtol=1e-5)
    np.testing.assert_array_equal(training.table[0], start[0])


def test_momentum_moves_a_row_when_it_has_a_gradient():
    training = Training({"name": "sgd", "momentum": 0.5, "clip_norm": 100})
    start = training.table.numpy()
    for rows in ([2], [1], [2]):
        training.step(slices(rows, np.ones([1, 2])))
    np.testing.assert_allclose(training.table[2], start[2] - 0.1 - 0.15, rtol=1e-5)


@pytest.mark.parametrize("rule", [ADAMW, RULES["composite"]], ids=["adamw", "composite"])
def test_a_restored_training_goes_on_as_before(rule, tmp_path):
    first, second = Training(rule), Training(rule)
    first.step(slices([0, 3], np.ones([2, 2])))
    first.step(slices([3], np.ones([1, 2])))
    saved = tf.train.Checkpoint(optimizer=first.optimizer, weights=first.weights).write(str(tmp_path / "state"))
    tf.train.Checkpoint(optimizer=second.optimizer, weights=second.weights).read(saved).assert_consumed()
    for training in (first, second):
        training.step(slices([0, 4], np.ones([2, 2])))
    for found, expected in zip(second.weights, first.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("lazy", "reads_whole_catalogue", "rows", "expected"),
    [
        ("auto", True, 20_000, False),
        ("auto", True, 20_001, True),
        ("auto", False, 5, True),
        (True, True, 5, True),
        (False, False, 20_001, False),
    ],
)
def test_large_tables_and_sampled_negatives_are_lazy_by_default(lazy, reads_whole_catalogue, rows, expected):
    table = tf.Variable(tf.zeros([rows, 1]), name="user_embedding/embeddings")
    assert updates_rows(OptimizerConfig(lazy=lazy), [table], reads_whole_catalogue) is expected
