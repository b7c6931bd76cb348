"""Three steps of every balancing on one replica and on four: run as a program of its own."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from config.training import TrainingConfig
from tests.trainer.losses.balancing.toy import Toy, weights
from trainer.distributed.strategies import make_strategy

METHODS = ("fixed", "uncertainty", "gradnorm", "pcgrad", "dwa")
ROWS = 5


def main(folder: Path) -> None:
    """Writes `<method>-<replicas>.npz` files."""
    four = make_strategy(TrainingConfig(strategy="mirrored", replicas=4))
    for method in METHODS:
        for strategy in (tf.distribute.get_strategy(), four):
            np.savez(folder / f"{method}-{strategy.num_replicas_in_sync}.npz", **steps(method, strategy))


def steps(method: str, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """Gradients and weights after each step; of five rows the first replica gets two."""
    with strategy.scope():
        toy = Toy(method)
    gradients_of = tf.function(toy.gradients)
    found = {}
    for step in range(3):
        rows = tf.random.stateless_normal([ROWS, 4], [step, 2])
        parts = tf.split(rows, [2, 1, 1, 1]) if strategy.num_replicas_in_sync == 4 else [rows]
        own = strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: parts[context.replica_id_in_sync_group]
        )
        gradients = strategy.run(gradients_of, args=(own,))
        gradients = [strategy.reduce(tf.distribute.ReduceOp.SUM, g, axis=None) for g in gradients]
        for variable, gradient in zip(toy.variables, gradients, strict=True):
            variable.assign_sub(0.1 * gradient)
        toy.balancing.end_epoch({"retrieval": 3.0 - step, "rating": 2.0, "like": 1.0 + step})
        toy.step.assign_add(1)
        found |= {f"gradient/{step}/{i}": g.numpy() for i, g in enumerate(gradients)}
        found[f"weights/{step}"] = weights(toy.balancing)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
