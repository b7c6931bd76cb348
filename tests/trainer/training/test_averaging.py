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


def test_averages_of_rows_that_seldom_change_are_those_of_every_step():
    rng = np.random.default_rng(0)
    steps = [(np.unique(rng.integers(0, 6, 2)), rng.normal(size=[2, 3])) for _ in range(30)]

    def trained(is_lazy):
        table = tf.Variable(tf.ones([6, 3]), name="item_embedding/embeddings")
        kernel = tf.Variable(tf.ones([3]), name="kernel")
        average = WeightAverage([table, kernel], 0.8, tf.distribute.get_strategy(), is_lazy)

        @tf.function
        def step(number, rows, values):
            changes = tf.IndexedSlices(values, rows, tf.constant([6, 3]))
            average.before([changes, values[0]])
            table.scatter_add(changes)
            kernel.assign_add(values[0])
            average.update(number)

        for number, (rows, values) in enumerate(steps, start=1):
            step(tf.constant(number, tf.int64), tf.constant(rows), tf.constant(values[: len(rows)], tf.float32))
            if number == 20:
                with average.applied():
                    pass
        average.assign()
        return table.numpy(), kernel.numpy()

    for found, expected in zip(trained(is_lazy=True), trained(is_lazy=False), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_step_leaves_the_averages_of_other_rows_alone():
    table = tf.Variable(tf.ones([4, 2]), name="item_embedding/embeddings")
    average = WeightAverage([table], 0.5, tf.distribute.get_strategy(), is_lazy=True)
    table.assign(3 * tf.ones([4, 2]))
    average.update(tf.constant(100, tf.int64))
    average.before([tf.IndexedSlices(tf.ones([1, 2]), [2], tf.constant([4, 2]))])
    np.testing.assert_array_equal(average.averages[0], [[1, 1], [1, 1], [2, 2], [1, 1]])
    average.before([None])
