"""The training loop of parameter servers: workers take steps side by side, each on the newest weights that it sees."""

from collections.abc import Mapping
from typing import Any, Final

import tensorflow as tf

from trainer.data.windows import Window
from trainer.distributed.servers import count_of
from trainer.training.loop import TrainingLoop, finite
from trainer.training.progress import Progress
from trainer.training.result import Metrics

_ROUND: Final = 64
"""Steps of each worker after which all wait for the last one: then losses are read, and a checkpoint may be saved."""


class AsynchronousLoop(TrainingLoop):
    """Trains a model whose variables lie on parameter servers; see `TrainingLoop` for all that surrounds an epoch.

    A step reads weights, computes gradients of a batch of its worker's own and applies them, while other workers do the
    same (Recht et al., "Hogwild!: A Lock-Free Approach to Parallelizing Stochastic Gradient Descent", 2011): gradients
    are as old as the other workers' steps in between. A step whose worker is lost is run again by another.

    An epoch is as many steps as with one device. As no worker waits for another, some windows may be in more of its
    batches than others. What is random in a step follows from its number; the order of steps differs between runs.
    """

    def _prepare(self, has_diagnostics: bool) -> None:
        self._workers = count_of("worker")
        self._tasks = list(self._model.config.tasks)
        with self._strategy.scope():
            # By task, and the number of steps: a worker that is lost takes no part of the sums with it.
            self._sums = tf.Variable(tf.zeros([len(self._tasks) + 1]), trainable=False, name="epoch_losses")
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(self._strategy)
        self._batches_of_worker: Any = None
        self._step = tf.function(self._worker_step, autograph=False)

    def _train_epoch(self, progress: Progress) -> tuple[Metrics, Window]:
        """Trains an epoch, or the rest of a resumed one; returns the epoch's mean losses, and no batch."""
        epoch, done = int(self._state.epoch), self._steps_done()
        first, last = epoch * self._plan.steps, min((epoch + 1) * self._plan.steps, self._total)
        self._set_sums(self._state.epoch_losses if done > first else {}, done - first)
        losses: Metrics = {}
        while done < last:
            steps = min(_ROUND * self._workers, last - done)
            self._run(range(done, done + steps))
            done += steps
            self._model.step.assign(done)
            losses = finite(self._mean_losses())
            self._on_step(done)
            if self._is_save_due() and done < last:
                self._save({name: loss * (done - first) for name, loss in losses.items()})
            if progress.is_due(steps * self._plan.windows / self._plan.steps):
                progress.show(epoch + 1, done, losses)
        return losses, {}

    def _run(self, numbers: range) -> None:
        """Runs steps on whichever workers are free, and waits for the last one.

        Raises:
            tf.errors.UnavailableError: A server was lost. (A lost worker is waited for, unless there are others.)
        """
        if self._batches_of_worker is None:
            seed = self._config.seed + numbers.start  # after a restart another order than before
            batches = self._coordinator.create_per_worker_dataset(lambda: self._own_batches(seed))
            self._batches_of_worker = iter(batches)
        for number in numbers:
            self._coordinator.schedule(self._step, args=(self._batches_of_worker, tf.constant(number, tf.int64)))
        self._coordinator.join()

    def _own_batches(self, seed: int) -> tf.data.Dataset:
        """Returns the batches of the worker that runs this."""
        worker = tf.distribute.coordinator.experimental_get_current_worker_index()
        return self._data.endless_batches(self._plan, seed, worker, self._workers)

    def _worker_step(self, batches: Any, number: tf.Tensor) -> None:
        """Runs one step, counted from 0, on a worker."""
        window = next(batches)
        with self._model.randomness.at(number):
            losses = self._strategy.run(self._replica_step, args=(window,))
        self._sums.assign_add(tf.stack([*(losses[name] for name in self._tasks), 1.0]))

    def _set_sums(self, sums: Mapping[str, float], steps: int) -> None:
        self._sums.assign([*(sums.get(name, 0.0) for name in self._tasks), steps])

    def _mean_losses(self) -> dict[str, float]:
        *sums, steps = self._sums.numpy().tolist()
        return {name: total / steps for name, total in zip(self._tasks, sums, strict=True)}
