import numpy as np

from tests.trainer.losses.balancing.toy import PRIORITIES, ROWS, Toy, assert_gradients, gradients_of, weights


def test_dwa_favours_what_fell_least():
    toy = Toy("dwa", temperature=0.5)
    toy.balancing.end_epoch({"retrieval": 4.0, "rating": 2.0, "like": 1.0})
    np.testing.assert_allclose(weights(toy.balancing), PRIORITIES, rtol=1e-6)
    toy.balancing.end_epoch({"retrieval": 2.0, "rating": 2.0, "like": 0.0})
    powers = np.exp([0.5 / 0.5, 1 / 0.5, 1 / 0.5])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * powers / powers.sum(), rtol=1e-6)
    toy.balancing.end_epoch({"retrieval": 2.5, "rating": 1.0, "like": 1.0})
    powers = np.exp([1.25 / 0.5, 0.5 / 0.5, 1 / 0.5])
    np.testing.assert_allclose(weights(toy.balancing), 3 * PRIORITIES * powers / powers.sum(), rtol=1e-6)
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, weights(toy.balancing)))


def test_the_losses_are_saved_with_the_model():
    toy = Toy("dwa")
    toy.balancing.end_epoch({"retrieval": 4.0, "rating": 2.0, "like": 1.0})
    (saved,) = toy.balancing.non_trainable_variables
    assert saved.numpy().tolist() == [[4, 2, 1], [0, 0, 0]]
