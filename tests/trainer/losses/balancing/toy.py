"""Three tasks on one shared layer, an embedding and a weight of one task's own: what the balancings' tests share."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from config import Config
from tests.trainer.small import small_config
from trainer.distributed.collectives import global_sum
from trainer.distributed.randomness import Randomness
from trainer.losses.balancing import Balancing, make_balancing

TASKS = ("retrieval", "rating", "like")
PRIORITIES = np.array([1, 0.5, 1])
# In NumPy: a module that uses TensorFlow when it is imported leaves no time to divide the CPU into devices.
ROWS = np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32)
LOSSES = {"retrieval": np.float32(4), "rating": np.float32(3), "like": np.float32(0.5)}


def balancing_config(method: str, **options: object) -> Config:
    """`rating` is a regression and has weight 0.5."""
    tasks = {"rating": {"kind": "regression", "label": "rating", "weight": 0.5}}
    return small_config(tasks=tasks, training={"balancing": {"method": method, **options}})


class Linear(tf.keras.layers.Layer):
    """A vector of weights."""

    def __init__(self, values: Iterable[float]) -> None:
        super().__init__()
        self.kernel = tf.Variable(list(values), name="kernel")


class Toy:
    """Losses of rows [N, 4] of numbers: squares of what the rows, an embedding and the tasks' weights give."""

    def __init__(self, method: str, **options: object) -> None:
        self.shared = Linear([0.5, -1.0])
        self.table = tf.Variable([[0.1], [0.2], [0.3]])
        self.own = tf.Variable(0.7)
        self.step = tf.Variable(3, dtype=tf.int64)
        self.balancing = make_balancing(balancing_config(method, **options), self.shared, Randomness(1, self.step))

    @property
    def variables(self) -> list[tf.Variable]:
        """Everything that is learned, each once."""
        own = [v for v in self.balancing.trainable_variables if "log_variance" in v.name]
        return [self.shared.kernel, self.table, self.own, *own]

    def losses(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """This replica's share of the means over the global batch."""
        state = rows[:, :2] * self.shared.kernel
        embedding = tf.gather(self.table, tf.cast(rows[:, 2] > 0, tf.int32))[:, 0]
        values = {
            "retrieval": (tf.reduce_sum(state, axis=1) + embedding - rows[:, 3]) ** 2,
            "rating": (state[:, 0] - state[:, 1] - embedding) ** 2,
            "like": (state[:, 0] * self.own + 2 * rows[:, 3]) ** 2,
        }
        count = global_sum(tf.cast(tf.shape(rows)[0], tf.float32))
        return {name: tf.reduce_sum(v) / count for name, v in values.items()}

    def gradients(self, rows: tf.Tensor) -> list[tf.Tensor]:
        """A step's gradients, dense, this replica's share."""
        with tf.GradientTape(persistent=True) as tape:
            losses = self.losses(rows)
            total = self.balancing.total(losses)
        found = self.balancing.gradients(tape, losses, total, self.variables)
        return [tf.convert_to_tensor(g) for g in found]


def weights(balancing: Balancing) -> np.ndarray:
    """The weights of `TASKS`."""
    found = balancing.task_weights()
    return np.array([float(found[name]) for name in TASKS])


def gradients_of(toy: Toy, scales: Iterable[float]) -> list[tf.Tensor]:
    """The plain gradients of the losses, each times its scale."""
    with tf.GradientTape() as tape:
        losses = toy.losses(ROWS)
        total = tf.add_n([scale * losses[name] for name, scale in zip(TASKS, scales, strict=True)])
    return tape.gradient(total, [toy.shared.kernel, toy.table, toy.own])


def assert_gradients(found: Iterable[tf.Tensor], expected: Iterable[tf.Tensor]) -> None:
    """Compares as many as there are of both."""
    for a, b in zip(found, expected, strict=False):
        np.testing.assert_allclose(a, tf.convert_to_tensor(b), rtol=1e-5, atol=1e-6)
