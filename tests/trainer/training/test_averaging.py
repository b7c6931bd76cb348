import numpy as np
import tensorflow as tf

from trainer.training.averaging import WeightAverage


def averaged(decay, values):
    variable = tf.Variable([0.0])
    average = WeightAverage([variable], decay, tf.distribute.get_strategy())
    for step, value in enumerate(values, start=1):
        variable.assign([value])
        average.update(tf.constant(step, tf.int64))
    return variable, average


def test_an_average_moves_towards_the_weights():
    _, average = averaged(0.1, [1.0, 3.0])
    # 0.9 * 1, then 0.1 * 0.9 + 0.9 * 3
    np.testing.assert_allclose(average.averages[0], [2.79], rtol=1e-6)


def test_an_average_forgets_the_weights_before_training_soon():
    _, average = averaged(0.999, [1.0, 3.0])
    # Kept shares 2/11 and 3/12: 9/11 * 1, then 1/4 * 9/11 + 3/4 * 3
    np.testing.assert_allclose(average.averages[0], [9 / 44 + 9 / 4], rtol=1e-6)


def test_variables_hold_their_averages_for_a_while():
    variable, average = averaged(0.1, [1.0, 3.0])
    with average.applied():
        np.testing.assert_allclose(variable, [2.79], rtol=1e-6)
    np.testing.assert_array_equal(variable, [3.0])
    average.assign()
    np.testing.assert_allclose(variable, [2.79], rtol=1e-6)
