from tests.trainer.losses.balancing.toy import LOSSES, PRIORITIES, ROWS, Toy, assert_gradients, gradients_of, weights


def test_fixed_weights_are_the_tasks():
    toy = Toy("fixed")
    assert float(toy.balancing.total(LOSSES)) == 4 + 0.5 * 3 + 0.5
    assert weights(toy.balancing).tolist() == [1, 0.5, 1]
    assert toy.balancing.variables == []
    assert_gradients(toy.gradients(ROWS), gradients_of(toy, PRIORITIES))
