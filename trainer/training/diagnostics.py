"""Diagnostics of sharing and balancing for TensorBoard, beside the losses."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import tensorflow as tf

from config import feature_names
from trainer.data.windows import MASK, Window
from trainer.distributed.collectives import global_sum
from trainer.losses.balancing.gradients import cosines, global_matrix, shared_dense
from trainer.model.recommender import RecommenderModel

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
)


class ScalarLog:
    """An event file of metrics by step.

    Args:
        folder: Read by TensorBoard. None: nothing is written.
    """

    def __init__(self, folder: str | None) -> None:
        self._writer = tf.summary.create_file_writer(folder) if folder else tf.summary.create_noop_writer()

    def write(self, metrics: Mapping[str, float], step: int) -> None:
        """Writes metrics by name."""
        with self._writer.as_default(step=step):
            for name, value in metrics.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_METADATA)
        self._writer.flush()


class Diagnostics:
    """Measures a model on one batch without dropout, and without changing its state.

    Args:
        model: The model.
        strategy: Of the model.
        batch_spec: Of the batches.
    """

    def __init__(self, model: RecommenderModel, strategy: tf.distribute.Strategy, batch_spec: dict[str, Any]) -> None:
        self._model = model
        self._strategy = strategy
        self._tasks = model.balancing.tasks
        self._measure = tf.function(self._global_measure, input_signature=[batch_spec], autograph=False)

    def measure(self, window: Window) -> dict[str, float]:
        """Returns metrics by name.

        `weight/<task>` is the balancing's. With several tasks, `gradient_cosine/<task>/<task>` is that between their
        gradients of the shared dense parameters, negative in conflict, and `gate/...` the mean of the sharing's gates
        over the targets.

        Args:
            window: A global batch as the strategy distributed it.
        """
        weights = {f"weight/{name}": float(weight) for name, weight in self._model.balancing.task_weights().items()}
        if len(self._tasks) == 1:
            return weights
        return weights | {name: float(value) for name, value in self._measure(window).items()}

    def _global_measure(self, window: Window) -> dict[str, tf.Tensor]:
        metrics = self._strategy.run(self._replica_measure, args=(window,))
        return {name: self._strategy.experimental_local_results(values)[0] for name, values in metrics.items()}

    def _replica_measure(self, window: Window) -> dict[str, tf.Tensor]:
        variables = self._model.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            losses = self._model.compute_loss(window).tasks
        by_task = [tape.gradient(losses[name], variables) for name in self._tasks]
        shared = shared_dense(by_task)
        found = cosines(global_matrix([[gradients[i] for i in shared] for gradients in by_task]))
        pairs = combinations(range(len(self._tasks)), 2)
        conflicts = {f"gradient_cosine/{self._tasks[a]}/{self._tasks[b]}": found[a, b] for a, b in pairs}
        targets = tf.cast(window[MASK] & window[feature_names.IS_TARGET], tf.float32)
        count = global_sum(tf.reduce_sum(targets))
        return conflicts | {
            f"gate/{name}": tf.math.divide_no_nan(global_sum(tf.reduce_sum(weight * targets)), count)
            for name, weight in self._model.gates(window).items()
        }
