"""Trains the same on one replica and on several and writes losses and weights: run as a program of its own."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from config.training import OptimizerConfig, TrainingConfig
from tests.trainer.model.cold import GENERATOR, cold_config, cold_model
from tests.trainer.small import (
    draw_rows,
    encoder_config,
    many_tasks_config,
    small_config,
    small_model,
    small_spec,
    sparse_features,
)
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.data.windows import dense_windows
from trainer.distributed.strategies import make_strategy
from trainer.model.generator import LOSS
from trainer.training.averaging import WeightAverage
from trainer.training.loop import TrainingLoop
from trainer.training.optimizers import make_optimizer
from trainer.training.step import dense, row_sums

TRAINED = ("hard",)
STEPPED = ("full", "in_batch", "uniform", "frequency", "mixed")
"""Kinds of negatives: of these one step is compared."""
WINDOWS = 9
"""In batches of 4: the last one leaves nothing for all replicas but the first."""
REPLICAS = 4
SHARES = (4, 2, 2, 1)
"""Windows of each replica where one batch of all windows is shared out unequally."""
RULE = {"name": "sgd", "learning_rate": 0.1}
LAZY = {"lazy": None, "lazy_composite": {"name": "adam", "learning_rate": 0.2}}
"""Rules of a table of which a step touches a few rows."""

Arrays = dict[str, np.ndarray]


def main(data_file: str, folder: Path) -> None:
    """Writes `<negatives>-<replicas>.npz` files."""
    several = make_strategy(TrainingConfig(strategy="mirrored", replicas=REPLICAS))
    for strategy in (tf.distribute.get_strategy(), several):
        replicas = strategy.num_replicas_in_sync
        for negatives in TRAINED:
            found = train(negatives, strategy, data_file, str(folder / f"{negatives}-{replicas}"))
            np.savez(folder / f"{negatives}-{replicas}.npz", **found)
        for negatives in STEPPED:
            np.savez(folder / f"{negatives}-{replicas}.npz", **step(negatives, strategy))
        np.savez(folder / f"tasks-{replicas}.npz", **step_of_tasks(strategy))
        np.savez(folder / f"generator-{replicas}.npz", **step_of_generator(strategy))
        for name, embeddings in LAZY.items():
            np.savez(folder / f"{name}-{replicas}.npz", **steps_of_rows(embeddings, strategy))


def worse() -> dict[str, float]:
    """The metrics of an epoch that is no better than the one before."""
    return {"loss": 1.0}


def train(negatives: str, strategy: tf.distribute.Strategy, data_file: str, folder: str) -> Arrays:
    """Two epochs of gradient descent: what differs in a gradient differs as much in the weights."""
    optimizer = {"name": "sgd", "learning_rate": 0.05, "warmup_steps": 0}
    training = {"epochs": 2, "optimizer": optimizer}
    if negatives == "hard":
        optimizer |= {"embeddings": {**RULE, "momentum": 0.5}, "clip_norm": 0.5, "schedule": "plateau"}
        training["averaging"] = {"decay": 0.6}
        training["pruning"] = {"sparsity": 0.3, "start": 0, "end": 0.5, "every_steps": 2}
    config = small_config(
        features={"trend": {"days": [0.005, 0.02]}},
        model=encoder_config("decay").model.model_dump(),
        tasks={"retrieval": retrieval(negatives)},
        training=training,
    )
    with strategy.scope():
        model = small_model(config)
    data = WindowData([data_file], model.spec)
    plan = BatchPlan.mixed(4, WINDOWS)
    result = TrainingLoop(model, strategy, data, plan, worse, f"{folder}/checkpoints", None).run()
    weights = {f"weight/{i}/{v.name}".replace(":", "_"): v.numpy() for i, v in enumerate(model.trainable_variables)}
    return weights | {f"loss/{name}": np.array(loss) for name, loss in result.train.items()}


def shared_out(rows: list[dict[str, list]], strategy: tf.distribute.Strategy) -> list[list[dict[str, list]]]:
    """The rows of each replica."""
    if strategy.num_replicas_in_sync == 1:
        return [rows]
    ends = np.cumsum(SHARES).tolist()
    return [rows[end - count : end] for end, count in zip(ends, SHARES, strict=True)]


def step(negatives: str, strategy: tf.distribute.Strategy) -> Arrays:
    """The loss and the gradients of one global batch, shared out unequally."""
    config = small_config(model=encoder_config("mean").model.model_dump(), tasks={"retrieval": retrieval(negatives)})
    with strategy.scope():
        model = small_model(config)
    rows = draw_rows(5, WINDOWS)
    parts = shared_out(rows, strategy)
    windows = [dense_windows(sparse_features(part), small_spec(config)) for part in parts]

    def replica() -> tuple[tf.Tensor, list[tf.Tensor]]:
        number = int(tf.distribute.get_replica_context().replica_id_in_sync_group)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(windows[number]).tasks["retrieval"]
        return loss, dense(row_sums(tape.gradient(loss, learned)))

    learned = [model.candidates.ids.embeddings, model.candidates.bias, *model.queries.project.trainable_variables]
    loss, gradients = strategy.run(replica)
    loss = strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)
    sums = [strategy.experimental_local_results(gradient)[-1] for gradient in gradients]
    return {"loss/retrieval": loss.numpy()} | {f"gradient/{i}": values.numpy() for i, values in enumerate(sums)}


def step_of_tasks(strategy: tf.distribute.Strategy) -> Arrays:
    """The losses of tasks of every kind and the gradients of their sum, of one global batch shared out unequally; some
    shares have nothing to order."""
    config = many_tasks_config(model=encoder_config("decay").model.model_dump())
    with strategy.scope():
        model = small_model(config)
    rows = draw_rows(5, WINDOWS)
    rows[6:] = [{**row, "weight_order": [0.0] * len(row["item_id"])} for row in rows[6:]]
    parts = shared_out(rows, strategy)
    windows = [dense_windows(sparse_features(part), model.spec) for part in parts]

    def replica() -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        number = int(tf.distribute.get_replica_context().replica_id_in_sync_group)
        with tf.GradientTape() as tape:
            losses = model.compute_loss(windows[number]).tasks
            total = tf.add_n(list(losses.values()))
        return losses, [tf.convert_to_tensor(g) for g in tape.gradient(total, learned)]

    learned = [v for head in (*model.heads.values(), *model.classifiers.values()) for v in head.trainable_variables]
    learned += [model.candidates.ids.embeddings, *model.interaction.trainable_variables]
    losses, gradients = strategy.run(replica)
    arrays = {f"loss/{name}": loss for name, loss in losses.items()}
    arrays |= {f"gradient/{i}": gradient for i, gradient in enumerate(gradients)}
    return {n: strategy.reduce(tf.distribute.ReduceOp.SUM, a, axis=None).numpy() for n, a in arrays.items()}


def step_of_generator(strategy: tf.distribute.Strategy) -> Arrays:
    """The losses and the gradients of a global batch in training, whose items lose their ids, with batch norm."""
    with strategy.scope():
        layers = {"query_layers": [6], "candidate_layers": [6], "batch_norm": True}
        model = cold_model(cold_config(GENERATOR, model=layers))
    rows = draw_rows(5, WINDOWS)
    parts = shared_out(rows, strategy)
    windows = [dense_windows(sparse_features(part), model.spec) for part in parts]

    def replica() -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        number = int(tf.distribute.get_replica_context().replica_id_in_sync_group)
        with tf.GradientTape() as tape:
            losses = {"retrieval": model.compute_loss(windows[number], training=True).tasks["retrieval"]}
            losses |= model.generation_losses()
            total = losses["retrieval"] + losses[LOSS]
        return losses, [tf.convert_to_tensor(g) for g in tape.gradient(total, learned)]

    model.adversary.generator.correct.kernel.assign(0.1 * tf.ones([5, 8]))
    norms = [model.candidates.hidden, model.queries.hidden]
    learned = [model.candidates.ids.embeddings, *model.adversary.trainable_variables]
    learned += [weight for layers in norms for weight in layers.trainable_variables]
    losses, gradients = strategy.run(replica)
    arrays = {f"loss/{name}": loss for name, loss in losses.items()}
    arrays |= {f"gradient/{i}": gradient for i, gradient in enumerate(gradients)}
    return {n: strategy.reduce(tf.distribute.ReduceOp.SUM, a, axis=None).numpy() for n, a in arrays.items()}


def steps_of_rows(embeddings: dict[str, object] | None, strategy: tf.distribute.Strategy) -> Arrays:
    """Weights and averages after some steps that touch a few rows of a table, some of them on several replicas."""
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=0, weight_decay=0.5, clip_norm=1, embeddings=embeddings)
    with strategy.scope():
        names = {"item_embedding/embeddings": [8, 2], "kernel": [2]}
        weights = [tf.Variable(tf.ones(shape), name=name) for name, shape in names.items()]
        optimizer = make_optimizer(config, 10, weights, is_lazy=True)
    average = WeightAverage(weights, 0.8, strategy, is_lazy=True)

    @tf.function
    def step(number: tf.Tensor, rows: tf.Tensor, values: tf.Tensor) -> None:
        strategy.run(replica, args=(rows, values))
        average.update(number)

    def replica(rows: tf.Tensor, values: tf.Tensor) -> None:
        number, count = tf.distribute.get_replica_context().replica_id_in_sync_group, 4 // strategy.num_replicas_in_sync
        part = slice(count * number, count * (number + 1))
        table = tf.IndexedSlices(values[part], rows[part], tf.constant([8, 2], tf.int64))
        gradients = row_sums([table, tf.reduce_sum(values[part], axis=0)])
        average.before(gradients)
        pairs = zip(gradients, weights, strict=True)
        optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)

    rng = np.random.default_rng(0)
    for number in range(1, 7):
        values = tf.constant(rng.normal(size=[4, 2]), tf.float32)
        step(tf.constant(number, tf.int64), tf.constant(rng.integers(0, 8, 4)), values)
    found = {f"weight/{v.name}": v.numpy() for v in weights}
    average.assign()
    found |= {f"average/{v.name}": v.numpy() for v in weights}
    return {name.replace(":", "_"): values for name, values in found.items()}


def retrieval(negatives: str) -> dict[str, object]:
    """The task."""
    hard = {"per_window": 2, "refresh_steps": 2}
    return {"kind": "retrieval", "next_events": 2, "negatives": negatives, "samples": 6, "hard": hard}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
