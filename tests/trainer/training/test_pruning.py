import numpy as np
import tensorflow as tf

from config.training import PruningConfig
from tests.trainer.small import small_config, small_model
from trainer.training.pruning import Pruning, magnitude_mask, prunable

CONFIG = PruningConfig(sparsity=0.8, start=0.2, end=0.6, every_steps=3)
"""Of 20 steps: from step 4 to step 12, at 4, 7, 10 and 12."""


def pruning(kernel):
    return Pruning(CONFIG, 20, [kernel], tf.distribute.get_strategy())


def test_the_smallest_magnitudes_go():
    weights = np.array([[0.1, -5], [2, -0.2]], np.float32)
    assert magnitude_mask(weights, 0.5).tolist() == [[0, 1], [1, 0]]
    assert magnitude_mask(weights, 0).tolist() == [[1, 1], [1, 1]]


def test_sparsity_rises_by_the_cube():
    made = pruning(tf.Variable(tf.ones([5, 2]), name="kernel"))
    assert [step for step in range(20) if made.is_due(step)] == [4, 7, 10, 12]
    found = [made.sparsity(step) for step in (4, 8, 12, 19)]
    np.testing.assert_allclose(found, [0, 0.8 * (1 - 0.5**3), 0.8, 0.8])


def test_what_is_zero_stays_zero():
    kernel = tf.Variable(np.arange(1.0, 11).reshape(5, 2), name="dense/kernel", dtype=tf.float32)
    made = pruning(kernel)
    made.refresh(8)
    assert np.count_nonzero(kernel) == 10  # No step of the schedule.
    made.refresh(7)
    gone = kernel.numpy() == 0
    assert gone.sum() == round(10 * 0.8 * (1 - (5 / 8) ** 3))
    kernel.assign_add(tf.ones([5, 2]) * 100)
    made.apply()
    np.testing.assert_array_equal(kernel.numpy() == 0, gone)
    made.refresh(12)
    assert (kernel.numpy() == 0).sum() == 8
    assert (kernel.numpy()[gone] == 0).all()
    np.testing.assert_allclose(made.metrics()["sparsity"], 0.8)


def test_embeddings_biases_and_scores_are_left_alone():
    model = small_model(small_config())
    names = [v.name for v in prunable(model.trainable_variables)]
    assert names
    assert not [n for n in names if "embedding" in n or "bias" in n or "critic" in n]
