"""Trains the same on one replica and on two and writes losses and weights: run as a program of its own."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline.config.training import TrainingConfig
from tests.trainer.small import encoder_config, many_tasks_config, small_config, small_model
from trainer.data import WindowData
from trainer.distribution import make_strategy
from trainer.loop import TrainingLoop

WINDOWS = 9
"""In batches of 4: the last one leaves nothing for the second replica."""


def main(data_file: str, folder: Path) -> None:
    """Writes `<negatives>-<replicas>.npz` files."""
    two = make_strategy(TrainingConfig(strategy="mirrored", replicas=2))
    for negatives in ("full", "sampled"):
        for strategy in (tf.distribute.get_strategy(), two):
            name = f"{negatives}-{strategy.num_replicas_in_sync}"
            np.savez(folder / f"{name}.npz", **train(negatives, strategy, data_file, str(folder / name)))


def train(negatives: str, strategy: tf.distribute.Strategy, data_file: str, folder: str) -> dict[str, np.ndarray]:
    """Two epochs of plain gradient descent: what differs in a gradient differs as much in the weights."""
    task = {"kind": "retrieval", "next_events": 2, "negatives": negatives, "samples": 6}
    optimizer = {"name": "sgd", "learning_rate": 0.05, "warmup_steps": 0}
    make_config = many_tasks_config if negatives == "full" else small_config
    config = make_config(
        model=encoder_config("decay").model.model_dump(),
        tasks={"retrieval": task},
        training={"epochs": 2, "optimizer": optimizer},
    )
    with strategy.scope():
        model = small_model(config)
    data = WindowData([data_file], model.spec)
    result = TrainingLoop(model, strategy, data, WINDOWS, None, f"{folder}/checkpoints", f"{folder}/logs").run()
    weights = {f"weight/{i}/{v.name}".replace(":", "_"): v.numpy() for i, v in enumerate(model.trainable_variables)}
    return weights | {f"loss/{name}": np.array(loss) for name, loss in result.train.items()}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
