import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from tests.trainer.small import draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.training import precision
from trainer.training.precision import LossScale, rewrite_of, rewritten
from trainer.training.step import ReplicaStep


def test_float32_asks_for_nothing():
    assert rewrite_of("float32") is None
    with rewritten(None):
        pass


@pytest.mark.parametrize("kind", ["mixed_bfloat16", "mixed_float16"])
def test_a_device_that_cannot_is_named(kind, monkeypatch):
    said = []
    monkeypatch.setattr(precision, "_cpu_rewrite", lambda kind: None)
    monkeypatch.setattr(precision, "_gpu_rewrite", lambda kind: None)
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    assert rewrite_of(kind) is None
    assert f"`training.precision` is {kind}, which no device here computes in" in said[0]


def test_what_was_set_before_is_set_again():
    name = "auto_mixed_precision_onednn_bfloat16"
    with rewritten(name):
        assert tf.config.optimizer.get_experimental_options()[name]
    assert not tf.config.optimizer.get_experimental_options()[name]


def test_a_rewritten_function_returns_float32():
    values = tf.random.stateless_normal([64, 64], [1, 2])
    product = tf.function(lambda v: tf.matmul(v, v) + 1.0)
    exact = tf.matmul(values, values) + 1
    rewrite = rewrite_of("mixed_bfloat16")
    with rewritten(rewrite):
        found = product(values)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, exact, rtol=0.05, atol=0.5)
    assert (np.abs(found - exact).max() > 1e-3) == (rewrite is not None)


def gradients(*values):
    slices = tf.IndexedSlices(tf.constant([[values[0]]]), tf.constant([3]), tf.constant([9, 1]))
    return [slices, None, tf.constant(values[1:])]


def test_gradients_are_divided_by_what_the_loss_was_multiplied_with():
    scale = LossScale()
    assert float(scale.scaled(tf.constant(2.0))) == 2 * 2.0**15
    rows, nothing, rest = scale.unscaled(gradients(2.0**15, 2.0**16, 0.0))
    assert nothing is None
    assert rows.values.numpy().tolist() == [[1]]
    assert rest.numpy().tolist() == [2, 0]


def test_what_is_not_finite_is_left_out_and_halves_the_factor():
    scale = LossScale()
    rows, _, rest = scale.unscaled(gradients(float("inf"), 1.0))
    assert rows.values.numpy().tolist() == [[0]]
    assert rest.numpy().tolist() == [0]
    assert float(scale.factor) == 2.0**14
    assert int(scale.good_steps) == 0


def test_two_thousand_good_steps_double_the_factor():
    scale = LossScale()
    scale.good_steps.assign(1998)
    for expected in (2.0**15, 2.0**16):
        scale.unscaled(gradients(1.0, 1.0))
        assert float(scale.factor) == expected
    assert int(scale.good_steps) == 0


def test_the_weights_of_tasks_are_learned_as_without_a_factor():
    def learned(scale):
        model = small_model(small_config(training={"balancing": "uncertainty"}))
        step = ReplicaStep(model, tf.keras.optimizers.SGD(0.1), None, scale)
        step(dense_windows(sparse_features(draw_rows(1, 3)), model.spec))
        return model.balancing.log_variance.numpy()

    found, expected = learned(LossScale()), learned(None)
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-4)
