"""Trains as the chief or the worker that `TF_CONFIG` names, and writes what came of it."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import Config
from tests.trainer.replicas import RULE, retrieval
from tests.trainer.small import encoder_config, small_model
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.distributed.collectives import barrier, losses_explained, measured_by_chief, worker_share
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.strategies import is_chief, make_strategy
from trainer.distributed.training_process import Progress
from trainer.model.recommender import RecommenderModel
from trainer.training.loop import TrainingLoop

LOSSES = (2.0, 1.5, 1.0, 1.2, 1.1, 0.1)
"""Of the eval split by epoch: by these the third is the best, the fifth the last, and the sixth is not trained."""
STEPS = 3
"""Of an epoch."""
LOST_AFTER = 7
"""The step, amid the third epoch, after which the worker is killed once."""
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
        "checkpoint_every_minutes": 1e-9,
    }
    values = encoder_config("mean").model_dump(exclude_unset=True)
    return Config.model_validate({**values, "tasks": {"retrieval": retrieval("in_batch")}, "training": training})


def train(
    strategy: tf.distribute.Strategy,
    files: str,
    folder: Path,
    killed_in: int = 0,
    on_step: Callable[[int], None] = lambda step: None,
) -> Arrays:
    """Weights, losses and decisions of a training whose checkpoints and logs lie in the folder."""
    with strategy.scope():
        model = small_model(config())
    data = WindowData([files], model.spec, worker_share(strategy))
    plan = BatchPlan.mixed(4, data.summary().windows)
    loop = TrainingLoop(
        model,
        strategy,
        data,
        plan,
        measured_by_chief(strategy, evaluation(model, strategy, killed_in)),
        str(folder / "state"),
        str(folder / "logs"),
        on_step=on_step,
    )
    result = loop.run()
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


def as_chief(files: str, folder: Path, progress: Progress) -> None:
    """Writes `0.npz`, and what it is told when the worker is lost afterwards."""
    with losses_explained():
        strategy = make_strategy(config().training)
        np.savez(folder / "0.npz", **train(strategy, files, folder, on_step=progress.report))
        progress.end()
    try:
        with losses_explained():
            barrier(strategy)
    except LostWorkerError as error:
        (folder / "lost").write_text(str(error))


def as_worker(files: str, folder: Path) -> None:
    """Writes `1.npz` and is lost, while the chief waits for a word of it; it was lost once before, amid an epoch."""
    mark = folder / "killed"

    def be_lost(step: int) -> None:
        if step == LOST_AFTER and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    with losses_explained():
        strategy = make_strategy(config().training)
        np.savez(folder / "1.npz", **train(strategy, files, folder, on_step=be_lost))
    os._exit(7)


if __name__ == "__main__":
    as_worker(sys.argv[1], Path(sys.argv[2]))
