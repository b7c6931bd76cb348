import numpy as np
import pytest
import tensorflow as tf

from config.training import OptimizerConfig
from trainer.training.optimizers import make_optimizer
from trainer.training.step import dense, row_sums


def slices(rows, values, size=5):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows, tf.int64), tf.constant([size, 2]))


def test_repeated_rows_are_added_up():
    other = tf.constant([1.0, 2.0])
    table, vector, nothing = row_sums([slices([3, 1, 3], [[1, 2], [3, 4], [5, 6]]), other, None])
    assert dict(zip(table.indices.numpy().tolist(), table.values.numpy().tolist(), strict=True)) == {
        3: [6, 8],
        1: [3, 4],
    }
    np.testing.assert_array_equal(vector, other)
    assert nothing is None


def test_a_table_may_have_no_gradient_at_this_step():
    (table,) = row_sums([slices([], np.zeros([0, 2]))])
    assert table.values.shape == (0, 2)


def train(form, rule, aggregates):
    """A table and a kernel after four steps that are clipped, each with other rows."""
    rng = np.random.default_rng(0)
    table = tf.Variable(rng.normal(size=[5, 2]), dtype=tf.float32, name="item_embedding/embeddings")
    kernel = tf.Variable(rng.normal(size=[3]), dtype=tf.float32, name="kernel")
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, clip_norm=1, **rule)
    optimizer = make_optimizer(config, 10, [table, kernel])
    for _ in range(4):
        rows = rng.integers(0, 5, 3)
        gradients = form([slices(rows, rng.normal(size=[3, 2])), tf.constant(rng.normal(size=[3]), tf.float32)])
        pairs = zip(gradients, [table, kernel], strict=True)
        optimizer.apply_gradients(pairs, experimental_aggregate_gradients=aggregates)
    return np.concatenate([table.numpy().ravel(), kernel.numpy()])


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "adamw", "weight_decay": 0.1},
        {"name": "adam"},
        {"name": "adagrad"},
        {"name": "sgd"},
        {"name": "sgd", "momentum": 0.9, "nesterov": True},
        {"name": "adamw", "embeddings": {"name": "adagrad", "learning_rate": 0.2}},
    ],
    ids=["adamw", "adam", "adagrad", "sgd", "nesterov", "composite"],
)
def test_every_optimizer_does_the_same_with_both_forms(rule):
    expected = train(dense, rule, aggregates=True)
    np.testing.assert_allclose(train(row_sums, rule, aggregates=False), expected, rtol=1e-5, atol=1e-7)
