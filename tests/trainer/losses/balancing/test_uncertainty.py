import math

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.losses.balancing.toy import LOSSES, ROWS, Toy, assert_gradients, gradients_of, weights


def test_uncertainty_is_the_likelihood_under_the_learned_noise():
    toy = Toy("uncertainty")
    toy.balancing.log_variance.assign([0.2, -0.4, 1.0])
    terms = [math.exp(-0.2) * 4 + 0.1, 0.5 * (math.exp(0.4) * 3 / 2 - 0.2), math.exp(-1) * 0.5 + 0.5]
    assert float(toy.balancing.total(LOSSES)) == pytest.approx(sum(terms))
    np.testing.assert_allclose(weights(toy.balancing), [math.exp(-0.2), math.exp(0.4) / 4, math.exp(-1)], rtol=1e-6)
    losses = [float(loss) for loss in toy.losses(ROWS).values()]
    slopes = [0.5 - math.exp(-0.2) * losses[0], 0.5 * (0.5 - math.exp(0.4) * losses[1] / 2), 0.5 - losses[2] / math.e]
    np.testing.assert_allclose(toy.gradients(ROWS)[-1], slopes, rtol=1e-4)
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, weights(toy.balancing)))


def test_a_task_without_a_target_leaves_its_uncertainty():
    toy = Toy("uncertainty")
    with tf.GradientTape() as tape:
        total = toy.balancing.total({**LOSSES, "like": tf.constant(0.0)})
    assert tape.gradient(total, toy.balancing.log_variance).numpy().tolist() == [0.5 - 4, 0.5 * (0.5 - 1.5), 0]
