"""Trains as the worker that `TF_CONFIG` names, and writes what came of it: run as a program of its own."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import Config
from tests.trainer.replicas import RULE, WINDOWS, retrieval
from tests.trainer.small import encoder_config, small_model
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.distributed.collectives import barrier, losses_explained, measured_by_chief
from trainer.distributed.strategies import is_chief, make_strategy
from trainer.model.recommender import RecommenderModel
from trainer.training.loop import TrainingLoop

LOSSES = (2.0, 1.5, 1.0, 1.2, 1.1, 0.1)
"""Of the eval split by epoch: by these the third is the best, the fifth the last, and the sixth is not trained."""
STEPS = 3
"""Of an epoch."""
OPTIMIZER = {"name": "sgd", "learning_rate": 0.05, "warmup_steps": 0, "embeddings": {**RULE, "momentum": 0.5}}

Arrays = dict[str, np.ndarray]


class KilledError(Exception):
    """Stands for the end of the process."""


def config() -> Config:
    """Sparse gradients, items that all workers gather, and every decision that is made between two epochs."""
    training = {
        "epochs": len(LOSSES),
        "strategy": "multi_worker",
        "hide": None,  # what is hidden is drawn anew by every replica
        "optimizer": {**OPTIMIZER, "clip_norm": 0.5, "schedule": "plateau", "plateau": {"patience": 1}},
        "averaging": {"decay": 0.6},
        "early_stopping": {"patience": 2},
    }
    values = encoder_config("mean").model_dump(exclude_unset=True)
    return Config.model_validate({**values, "tasks": {"retrieval": retrieval("in_batch")}, "training": training})


def train(strategy: tf.distribute.Strategy, data_file: str, folder: Path, killed_in: int = 0) -> Arrays:
    """Weights, losses and decisions of a training whose checkpoints and logs lie in the folder."""
    with strategy.scope():
        model = small_model(config())
    data = WindowData([data_file], model.spec)
    evaluate = measured_by_chief(strategy, evaluation(model, strategy, killed_in))
    plan = BatchPlan.mixed(4, WINDOWS)
    result = TrainingLoop(model, strategy, data, plan, evaluate, str(folder / "state"), str(folder / "logs")).run()
    found = {f"weight/{i}": v.numpy() for i, v in enumerate(model.trainable_variables)}
    found |= {
        f"{split}/{name}": np.array(n) for split in ("train", "evaluation") for name, n in asdict(result)[split].items()
    }
    return found | {name: np.array(getattr(result, name)) for name in ("epochs", "steps", "best_epoch")}


def evaluation(
    model: RecommenderModel, strategy: tf.distribute.Strategy, killed_in: int
) -> Callable[[], dict[str, float]]:
    """The chief's metrics; asking another worker is an error."""

    def evaluate() -> dict[str, float]:
        epoch = int(model.step.numpy()) // STEPS
        if epoch == killed_in:
            raise KilledError
        if not is_chief(strategy):
            raise RuntimeError("the chief alone measures")
        return {"loss": LOSSES[epoch - 1]}

    return evaluate


def main(index: str, data_file: str, folder: Path) -> None:
    """Writes `<index>.npz`. After that the second worker is lost, while the first waits for a word of it."""
    with losses_explained():
        strategy = make_strategy(config().training)
        np.savez(folder / f"{index}.npz", **train(strategy, data_file, folder))
        if index == "1":
            os._exit(7)
        barrier(strategy)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
