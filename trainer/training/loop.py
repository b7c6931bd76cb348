"""The training loop: epochs of global batches under a distribution strategy, with checkpoints to resume from."""

import math
import posixpath
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Final

import tensorflow as tf
from absl import logging

from config.training import EarlyStopping, TrainingConfig
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.data.windows import Window
from trainer.distributed.collectives import barrier, check_alike
from trainer.distributed.strategies import is_chief, is_multi_worker
from trainer.metrics.names import STANDARD_ERROR
from trainer.model.recommender import RecommenderModel
from trainer.model.row_keys import Weights
from trainer.training.averaging import WeightAverage
from trainer.training.checkpoints import TrainingState
from trainer.training.diagnostics import Diagnostics, ScalarLog
from trainer.training.distillation import Distillation
from trainer.training.early_stopping import TaskStopping, default_metric, is_better, is_lower_better, metric_of
from trainer.training.kept_state import keep_state
from trainer.training.optimizers import Plateau, learning_rates, make_optimizer, updates_rows
from trainer.training.precision import LossScale, rewrite_of, rewritten
from trainer.training.progress import Progress
from trainer.training.pruning import Pruning
from trainer.training.result import Metrics, TrainingResult
from trainer.training.step import ReplicaStep
from trainer.training.warm_start import WarmStart

_NOISE: Final = 0.25
"""The share of a standard error by which two equally good epochs' metrics of the same users differ. The later one is
kept then: the learning rate has fallen further, so its weights have converged more."""


class TrainingLoop:
    """Trains a model.

    Two runs with the same model, data and configuration end with the same weights, also if one was killed and
    restarted: an epoch's order depends on seed and epoch only, and everything random on seed and step only.

    Args:
        model: Made inside `strategy`'s scope, with its weights.
        strategy: Splits every global batch among its replicas.
        data: The training data.
        plan: How an epoch of `data` is divided into global batches.
        evaluate: Returns the metrics of an epoch by name, the same in all processes, and their standard errors as
            `stderr_<name>`. None: there is no eval split.
        checkpoint_folder: For this training alone.
        log_folder: Of TensorBoard. None: nothing is logged, nor measured for it.
        distillation: The losses of a student. None: there is no teacher.
        on_step: Called with the number of finished steps: before the first step of this process, and after each.
        start: Moves the slots of an earlier training to the optimizer; the model has its weights. None: a cold start.
    """

    def __init__(
        self,
        model: RecommenderModel,
        strategy: tf.distribute.Strategy,
        data: WindowData,
        plan: BatchPlan,
        evaluate: Callable[[], Metrics] | None,
        checkpoint_folder: str,
        log_folder: str | None,
        distillation: Distillation | None = None,
        on_step: Callable[[int], None] = lambda step: None,
        start: WarmStart | None = None,
    ) -> None:
        self._model = model
        self._strategy = strategy
        self._data = data
        self._evaluate = evaluate
        self._on_step = on_step
        self._config: TrainingConfig = model.config.training
        self._stopping = None if evaluate is None else self._config.stopping
        self._plan = plan
        self._total = (self._config.epochs or plan.epochs) * plan.steps
        self._total = min(self._total, self._config.max_steps or self._total)
        self._rewrite = rewrite_of(self._config.precision)
        optimizer, averaging, variables = self._config.optimizer, self._config.averaging, model.trainable_variables
        is_lazy = updates_rows(optimizer, variables, model.reads_whole_catalogue)
        with strategy.scope():
            self._plateau = Plateau(optimizer.plateau) if optimizer.schedule == "plateau" else None
            begin = start.begin(optimizer) if start else 0
            self._optimizer = make_optimizer(optimizer, self._total, variables, self._plateau, is_lazy, begin)
        if start is not None:
            start.move_slots(self._optimizer, optimizer)
        self._average = WeightAverage(variables, averaging.decay, strategy, is_lazy) if averaging else None
        pruning = self._config.pruning
        self._pruning = Pruning(pruning, self._total, variables, strategy) if pruning else None
        with strategy.scope():
            loss_scale = LossScale() if self._rewrite and self._config.precision == "mixed_float16" else None
        self._replica_step = ReplicaStep(model, self._optimizer, distillation, loss_scale, is_lazy, self._average)
        task_patience = self._stopping.task_patience if self._stopping else None
        has_tasks = len(model.config.tasks) > 1
        self._task_stopping = TaskStopping(model, task_patience) if task_patience and has_tasks else None
        extras: dict[str, tf.Module | None] = {
            "plateau": self._plateau,
            "average": self._average,
            "pruning": self._pruning,
            "loss_scale": loss_scale,
            "task_stopping": self._task_stopping,
        }
        kept = {name: extra for name, extra in extras.items() if extra is not None}
        self._is_chief = is_chief(strategy)
        self._saved = time.monotonic()
        self._state = TrainingState(checkpoint_folder, model, self._optimizer, kept, self._is_chief)
        self._train_log, self._eval_log = (
            ScalarLog(posixpath.join(log_folder, part) if log_folder and self._is_chief else None)
            for part in ("train", "eval")
        )
        self._diagnostics: Diagnostics | None = None
        self._prepare(has_diagnostics=log_folder is not None)

    def run(self) -> TrainingResult:
        """Trains to the end, from the last checkpoint where there is one.

        The final weights are kept until `remove_checkpoints`: a later run restores them without training.

        Raises:
            ValueError: If early stopping names a metric that the eval split does not give.
            FloatingPointError: If a loss is not finite.
            RuntimeError: If the workers of a training do not read the same files.
        """
        start, start_cpu = time.monotonic(), time.process_time()
        ended = self._state.restore_trained()
        check_alike(self._strategy, {"trained": int(ended is not None)})
        if ended is not None:
            logging.info("Training had ended after epoch %d; its weights are taken as they are.", ended["epochs"])
            return TrainingResult(
                **{**ended, "warnings": (*ended["warnings"], *self._state.warnings), "choices": (), "start": ()}
            )
        if self._state.restore():
            logging.info("Resumed after epoch %d, step %d.", int(self._state.epoch), self._steps_done())
        counts = {"windows": self._plan.windows, "steps": self._total, "steps done": self._steps_done()}
        check_alike(self._strategy, counts)
        self._on_step(self._steps_done())
        if self._stopping and self._evaluate is not None and self._state.has_lost_best:
            with self._averaged():  # the restored weights may be the best that are left
                self._keep_best(self._stopping, *self._measured())
        progress = Progress(
            self._total,
            math.ceil(self._total / self._plan.steps),
            done_steps=self._steps_done(),
            is_shown=self._is_chief,
        )
        train: Metrics = {}
        evaluation: Metrics = {}
        while self._steps_done() < self._total and not self._has_stopped():
            train, evaluation = self._epoch(progress)
        steps = self._steps_done()  # the best weights come with the step that they were saved at
        if self._stopping:
            barrier(self._strategy)  # the chief may still be saving the last epoch as the best
            self._state.restore_best()
        elif self._average is not None:
            self._average.assign()
            self._prune()
        if self._evaluate is not None and (self._stopping or not evaluation):
            evaluation, _ = self._measured()
        best_epoch = int(self._state.best_epoch)
        result = TrainingResult(
            epochs=int(self._state.epoch),
            steps=steps,
            train=train,
            evaluation=evaluation,
            best_epoch=best_epoch,
            seconds=time.monotonic() - start,
            cpu_seconds=time.process_time() - start_cpu,
            warnings=tuple(self._state.warnings),
        )
        self._state.save_trained(asdict(result))
        return result

    def keep_state(self, folder: str, weights: Weights) -> None:
        """Writes what a later training can start from into the folder of the model's artifact."""
        keep_state(folder, self._model.config, weights, self._optimizer)

    def remove_checkpoints(self) -> None:
        """Removes the checkpoints, which only a resumed run needs."""
        self._state.remove()

    def _prepare(self, has_diagnostics: bool) -> None:
        """Makes what an epoch's steps run."""
        batch_spec = self._batches(epoch=0).element_spec
        if has_diagnostics:
            self._diagnostics = Diagnostics(self._model, self._strategy, batch_spec)
        # Traced once: without a signature every new shape, as that of an epoch's last batch, costs seconds.
        self._step = tf.function(self._global_step, input_signature=[batch_spec], autograph=False)

    def _epoch(self, progress: Progress) -> tuple[Metrics, Metrics]:
        train, sample = self._train_epoch(progress)
        diagnosis = self._diagnostics.measure(sample) if self._diagnostics else {}
        self._model.balancing.end_epoch(train)
        self._state.epoch.assign_add(1)
        epoch = int(self._state.epoch)
        with self._averaged():
            evaluation, errors = self._measured()
            if self._stopping:
                self._keep_best(self._stopping, evaluation, errors)
        shown = {name: value for name, value in evaluation.items() if self._is_shown(name)}
        progress.end_epoch(epoch, self._steps_done(), train, shown)
        sparsity = self._pruning.metrics() if self._pruning else {}
        self._train_log.write(train | learning_rates(self._optimizer) | sparsity | diagnosis, self._steps_done())
        self._eval_log.write(evaluation, self._steps_done())
        if self._plateau is not None:
            self._plateau.end_epoch(evaluation)
        if self._task_stopping is not None:
            self._task_stopping.end_epoch(evaluation)
        if epoch % self._config.checkpoint_every_epochs == 0:
            self._save()
        return train, evaluation

    def _save(self, epoch_losses: Mapping[str, tf.Tensor] | None = None) -> None:
        losses = {name: float(total) for name, total in (epoch_losses or {}).items()}
        self._state.save(self._steps_done(), losses)
        self._saved = time.monotonic()

    def _is_save_due(self) -> bool:
        """Returns whether a checkpoint inside an epoch is due; of several workers the chief alone saves, when it is."""
        return self._is_chief and time.monotonic() - self._saved >= 60 * self._config.checkpoint_every_minutes

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Assigns the averaged weights to the model inside, where they are configured."""
        with nullcontext() if self._average is None else self._average.applied():
            self._prune()
            yield

    def _prune(self) -> None:
        if self._pruning is not None:
            self._pruning.apply()

    def _train_epoch(self, progress: Progress) -> tuple[Metrics, Window]:
        """Trains an epoch, or the rest of a resumed one; returns the epoch's mean losses and the first batch."""
        epoch = int(self._state.epoch)
        count = done = self._steps_done() - epoch * self._plan.steps
        sums: dict[str, tf.Tensor] = dict(self._state.epoch_losses) if done else {}
        sample: Window = {}
        for count, window in enumerate(self._batches(epoch, done), start=done + 1):
            sample = sample or window
            self._model.refresh_negatives()
            if self._pruning is not None:
                self._pruning.refresh(self._steps_done())
            with rewritten(self._rewrite):
                losses = self._step(window)
            sums = {name: sums.get(name, 0.0) + loss for name, loss in losses.items()}
            self._on_step(epoch * self._plan.steps + count)
            if self._is_save_due() and count < self._plan.steps and self._steps_done() < self._total:
                self._save(sums)
            if progress.is_due(self._plan.windows / self._plan.steps):
                progress.show(epoch + 1, self._steps_done(), finite({n: float(s) / count for n, s in sums.items()}))
        return finite({name: float(total) / count for name, total in sums.items()}), sample

    def _batches(self, epoch: int, done: int = 0) -> tf.data.Dataset:
        """Returns the batches of an epoch, at most the steps that are left, as the strategy distributes them.

        Args:
            epoch: Counted from 0.
            done: The number of its batches that a resumed training has taken already.
        """
        steps = min(self._plan.steps - done, self._total - self._steps_done())
        batches = self._data.training_batches(self._plan, self._config.seed, epoch, done, steps)
        if not is_multi_worker(self._strategy):
            return self._strategy.experimental_distribute_dataset(batches)
        return self._strategy.distribute_datasets_from_function(lambda context: batches)

    def _global_step(self, window: Window) -> dict[str, tf.Tensor]:
        losses = self._strategy.run(self._replica_step, args=(window,))
        self._model.step.assign_add(1)
        self._prune()
        if self._average is not None:
            self._average.update(self._model.step)
        return {n: self._strategy.reduce(tf.distribute.ReduceOp.SUM, x, axis=None) for n, x in losses.items()}

    def _steps_done(self) -> int:
        return int(self._model.step.numpy())

    def _is_shown(self, name: str) -> bool:
        """Returns whether a metric is printed: the loss, the one that stops training, NDCG and those of tasks."""
        metric = self._stopping.metric if self._stopping else None
        return name in ("loss", metric) or name.startswith("ndcg@") or "/" in name

    def _measured(self) -> tuple[Metrics, Metrics]:
        """Returns the metrics of the present weights and their standard errors."""
        found = self._evaluate() if self._evaluate is not None else {}
        errors = {n.removeprefix(STANDARD_ERROR): e for n, e in found.items() if n.startswith(STANDARD_ERROR)}
        return {n: value for n, value in found.items() if not n.startswith(STANDARD_ERROR)}, errors

    def _keep_best(self, stopping: EarlyStopping, evaluation: Metrics, errors: Metrics) -> None:
        """Saves weights that are better than all before, or as good within the noise."""
        metric = stopping.metric or default_metric(evaluation, self._model.config.evaluation.ks)
        value = metric_of(evaluation, metric, "training.early_stopping.metric")
        best, noise = float(self._state.best), _NOISE * errors.get(metric, 0.0)
        if is_better(metric, value, best):
            self._state.save_best(value)
        elif is_better(metric, value, best + (noise if is_lower_better(metric) else -noise)):
            self._state.save_best(best)

    def _has_stopped(self) -> bool:
        if self._stopping is None:
            return False
        epochs = -(-self._total // self._plan.steps)
        waited = int(self._state.epoch) - int(self._state.best_epoch)
        return waited >= self._stopping.patience_in(epochs)


def finite(losses: Metrics) -> Metrics:
    """Returns the losses.

    Raises:
        FloatingPointError: If one is not finite.
    """
    broken = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if broken:
        raise FloatingPointError(f"the loss of {', '.join(broken)} is not finite: try a lower `learning_rate`")
    return losses
