import numpy as np
import tensorflow as tf

from tests.trainer.small import draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.layers.blocks import BatchNorm

VALUES = tf.constant([[[1.0, 0], [3, 4]], [[5, 8], [100, -100]]])
COUNTS = tf.constant([[True, True], [True, False]])
DEVIATION = np.sqrt(np.array([8, 32]) / 3 + 1e-3)


def test_what_counts_has_mean_zero_and_deviation_one():
    norm = BatchNorm()
    found = norm(VALUES, COUNTS, training=True).numpy()
    np.testing.assert_allclose(found[0, 0], [-2, -4] / DEVIATION, rtol=1e-5)
    np.testing.assert_allclose(found[1, 1], [97, -104] / DEVIATION, rtol=1e-5)
    norm.scale.assign([2.0, 2])
    norm.offset.assign([1.0, 0])
    np.testing.assert_allclose(norm(VALUES, COUNTS, training=True)[0, 0], [1, 0] + [-4, -8] / DEVIATION, rtol=1e-5)


def test_outside_training_the_moving_averages_count():
    norm = BatchNorm()
    norm(VALUES, COUNTS, training=True)
    np.testing.assert_allclose(norm.mean, [3, 4], rtol=1e-5)  # nothing is left of the start
    np.testing.assert_allclose(norm.variance, np.array([8, 32]) / 3, rtol=1e-5)
    norm(2 * VALUES, COUNTS, training=True)
    np.testing.assert_allclose(norm.mean, [0.1 * 3 + 0.9 * 6, 0.1 * 4 + 0.9 * 8], rtol=1e-5)
    before = [v.numpy() for v in norm.variables]
    found = norm(VALUES)
    np.testing.assert_allclose(found[0, 0, 0], (1 - 5.7) / np.sqrt(norm.variance[0] + 1e-3), rtol=1e-5)
    for variable, value in zip(norm.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_the_averages_of_a_long_training_move_by_a_hundredth():
    norm = BatchNorm()
    norm(VALUES, COUNTS, training=True)
    norm.batches.assign(5000)
    norm(2 * VALUES, COUNTS, training=True)
    np.testing.assert_allclose(norm.mean, [3.03, 4.04], rtol=1e-5)


def test_a_batch_of_padding_moves_nothing():
    norm = BatchNorm()
    assert np.isfinite(norm(VALUES, COUNTS & False, training=True)).all()
    np.testing.assert_array_equal(norm.mean, [0, 0])
    assert norm.batches == 0


def test_towers_normalise_their_hidden_layers_without_padding():
    layers = {"query_layers": [5], "candidate_layers": [5], "batch_norm": True}
    config = small_config(model={**small_config().model.model_dump(), **layers})
    model = small_model(config)
    rows = draw_rows(1, 3)
    short = dense_windows(sparse_features(rows[:2]), model.spec)
    padded = {
        n: tf.pad(v, [[0, 0], [2, 0]]) if v.shape.rank == 2 and not n.startswith("user_") else v
        for n, v in short.items()
    }
    model.compute_loss(short, training=True)
    (norm,) = model.queries.hidden.norms
    first = norm.mean.numpy()
    norm.batches.assign(0)
    model.compute_loss(padded, training=True)
    assert np.abs(first).max() > 0
    np.testing.assert_allclose(norm.mean, first, rtol=1e-4, atol=1e-6)
