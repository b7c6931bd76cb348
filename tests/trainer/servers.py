"""Trains as the chief of two workers and two parameter servers, kills some, and writes what came of it."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import Config
from tests.trainer.small import FEATURES, USERS, encoder_config, small_catalogue
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.distributed import servers
from trainer.distributed.collectives import losses_explained
from trainer.distributed.strategies import make_strategy
from trainer.distributed.training_process import Progress
from trainer.model.recommender import RecommenderModel
from trainer.training import asynchronous

EPOCHS, STEPS, ROUND = 3, 20, 10
"""Epochs, steps of an epoch, and steps between two moments at which losses are read."""
LOST_AT = {ROUND + 3: ("worker", 1), 2 * STEPS + ROUND + 3: ("ps", 1)}
"""By the number of updates, whom the chief kills then, amid a round."""
DIVIDED_ROWS = 8


def config() -> Config:
    """Towers that look up tables, with few features: graphs are made anew with every start."""
    values = encoder_config("mean").model_dump(exclude_unset=True)
    tasks = {"retrieval": {"kind": "retrieval", "negatives": "mixed", "samples": 5}}
    training = {
        "epochs": EPOCHS,
        "batch_size": 4,
        "strategy": "parameter_server",
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 2, "schedule": "constant"},
        "early_stopping": {"metric": "retrieval_loss"},
        "checkpoint_every_minutes": 1e-9,
    }
    return Config.model_validate({**values, "tasks": tasks, "training": training})


def make_model(seed: int) -> RecommenderModel:
    """Makes a model of the items' features alone."""
    tf.keras.utils.set_random_seed(seed)
    return RecommenderModel(config(), FEATURES[-2:], small_catalogue(), USERS)


def as_chief(files: list[str], folder: Path, progress: Progress) -> None:
    """Writes `placed.json`, `result.json` and `starts`, the number of steps with which each start began."""
    servers.DIVIDED_ROWS, asynchronous._ROUND = DIVIDED_ROWS, ROUND // 2  # type: ignore[misc]
    with losses_explained():
        strategy = make_strategy(config().training)
        with strategy.scope():
            model = make_model(seed=1)
        copy = make_model(seed=2)
        data = WindowData(files, model.spec)
        window = next(iter(data.evaluation_batches(32)))

        def evaluate() -> dict[str, float]:
            servers.copy_variables(model.variables, copy.variables)
            sums = copy.loss_sums(window)[1]
            return {f"{name}_loss": float(s.loss / s.weight) for name, s in sums.items()}

        steps: list[int] = []

        def on_step(step: int) -> None:
            progress.report(step)
            steps.append(step)
            if step == 2 * STEPS:
                wait_for_replacement(folder)

        plan = BatchPlan.mixed(4, windows=4 * STEPS)
        loop = asynchronous.AsynchronousLoop(
            model, strategy, data, plan, evaluate, str(folder / "state"), None, on_step=on_step
        )
        optimizer = loop._optimizer
        placed = bytes_by_device([*model.variables, *shards(optimizer.variables)])
        (folder / "placed.json").write_text(json.dumps(placed))
        before = evaluate()
        threading.Thread(target=kill_amid, args=(folder, optimizer.iterations), daemon=True).start()
        result = loop.run()
        with (folder / "starts").open("a") as file:
            print(steps[0], file=file)
        served = model.candidate_embeddings().numpy()
        servers.copy_variables(model.variables, copy.variables)
        np.testing.assert_allclose(copy.candidate_embeddings().numpy(), served, rtol=1e-5, atol=1e-6)
        found = {"before": before, "train": result.train, "evaluation": result.evaluation}
        found |= {"epochs": result.epochs, "steps": result.steps, "iterations": int(optimizer.iterations.numpy())}
        (folder / "result.json").write_text(json.dumps(found))


def shards(variables: list[tf.Variable]) -> list[tf.Variable]:
    """Slots of a table are one variable of several."""
    return [part for variable in variables for part in getattr(variable, "variables", [variable])]


def bytes_by_device(variables: list[tf.Variable]) -> dict[str, dict[str, int]]:
    """By name without the shard's number, and by device: bytes of all matrices."""
    found: dict[str, dict[str, int]] = {}
    for variable in variables:
        name = variable.name.split("/part_")[0]
        if "embeddings" in variable.name and variable.shape.num_elements() > DIVIDED_ROWS:
            own = found.setdefault(name, {})
            own[variable.device] = own.get(variable.device, 0) + variable.shape.num_elements() * variable.dtype.size
    return found


def wait_for_replacement(folder: Path) -> None:
    """Waits until another process has started in place of the lost worker, a minute at most."""
    end = time.monotonic() + 60
    while time.monotonic() < end and len((folder / "worker 1").read_text().splitlines()) < 2:
        time.sleep(0.05)


def kill_amid(folder: Path, iterations: tf.Variable) -> None:
    """Kills one process after the other when so many updates are counted, each once, which a file marks."""
    for updates, (role, index) in LOST_AT.items():
        while int(iterations.numpy()) < updates:
            time.sleep(0.005)
        mark = folder / f"killed {role}"
        if not mark.exists():
            mark.touch()
            os.kill(int((folder / f"{role} {index}").read_text().split()[-1]), signal.SIGKILL)
