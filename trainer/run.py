"""The entry of TFX's Trainer: from transformed examples to a SavedModel."""

import dataclasses
import hashlib
import json
import math
import posixpath
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from config import dump_config, feature_names
from config.dump import TRAINING
from config.fingerprint import TRAINING_CODE, code_fingerprint
from config.progress import say
from trainer.arguments import RunArguments
from trainer.data.attributes import load_attributes
from trainer.data.batching import plan_batches
from trainer.data.catalogue import load_catalogue
from trainer.data.dataset import WindowData
from trainer.data.table_sizes import check_memory
from trainer.data.user_sample import UserSample, eval_sample
from trainer.data.windows import WindowSpec
from trainer.distributed.collectives import measured_by_chief, numbers_of_chief, worker_share
from trainer.distributed.servers import copy_variables, has_servers
from trainer.distributed.strategies import make_strategy
from trainer.executor import RAW_EVAL_FILES
from trainer.export.index.build import INDEX_FILE
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, write_golden_responses
from trainer.export.quantised_tables import quantise_tables
from trainer.export.saved_model import Exported, export_model
from trainer.export.user_snapshot import load_snapshot
from trainer.model.recommender import RecommenderModel
from trainer.model.row_keys import weights_of
from trainer.stacking.fit_baseline import fit_rating_baselines
from trainer.stacking.fit_neighbours import fit_neighbours
from trainer.stacking.recommender import LeftOut, StackedRecommender
from trainer.training.asynchronous import AsynchronousLoop
from trainer.training.base_model import BaseModel
from trainer.training.distillation import Distillation, load_teacher
from trainer.training.loop import TrainingLoop
from trainer.training.result import TrainingResult
from trainer.training.validation import Evaluator
from trainer.training.warm_start import WarmStart
from transform.features import model_features, user_vocabulary_size, vocabularies

RESULT_FILE = "training.json"
"""The `TrainingResult` as JSON in the `model_run` artifact; null for a metric that is undefined."""
_QUERY_BATCH, _QUERY_BATCHES = 64, 16


def run_fn(fn_args: FnArgs) -> None:
    """Trains a model and exports it to `serving_model_dir`.

    Writes `RESULT_FILE`, `INDEX_FILE` (with a retrieval task), `GOLDEN_RESPONSES_FILE` and logs to `model_run_dir`.

    Args:
        fn_args: TFX's arguments. `custom_config` contains `config`, the configuration as JSON; `checkpoint_folder`, a
            folder that outlives the run; `fingerprint`, a digest of the code; and `RAW_EVAL_FILES`, which
            `trainer.executor` adds. The Tuner's `hyperparameters`, if any, change the configuration.
    """
    arguments = RunArguments.of(fn_args)
    train_and_export(arguments, make_strategy(arguments.config.training))


def train_and_export(arguments: RunArguments, strategy: tf.distribute.Strategy) -> None:
    """Does the work of `run_fn` under a strategy: train, stack, export, record golden responses."""
    job = TrainingJob(arguments, strategy)
    export_trained(job, job.train(), arguments)


def export_trained(job: "TrainingJob", result: TrainingResult, arguments: RunArguments) -> None:
    """Stacks, exports and records golden responses: all that follows the training of a job."""
    job.keep_state()  # before the export, which may round the tables
    model, result = job.stack(job.exportable_model(), result)
    say("building the index and exporting the model")
    exported = job.export(model)
    say("recording the exported model's golden responses")
    responses = posixpath.join(arguments.model_run_dir, GOLDEN_RESPONSES_FILE)
    raw_eval = arguments.custom_config[RAW_EVAL_FILES]
    write_golden_responses(exported.signatures, exported.some_items(), raw_eval, responses)
    _write_json(arguments, RESULT_FILE, dataclasses.asdict(result))
    if exported.module.index_report is not None:
        _write_json(arguments, INDEX_FILE, dataclasses.asdict(exported.module.index_report))
    job.loop.remove_checkpoints()


class TrainingJob:
    """The configured model, its data and its training loop.

    Args:
        arguments: The files and folders, and the configuration; see `run_fn`.
        strategy: The distribution strategy.
        on_step: Called by the training loop with the number of finished steps.

    Attributes:
        loop: The training loop.
    """

    def __init__(
        self,
        arguments: RunArguments,
        strategy: tf.distribute.Strategy,
        on_step: Callable[[int], None] = lambda step: None,
    ) -> None:
        self._arguments = arguments
        self._base = base = BaseModel(arguments.config, arguments.base_model)
        self._config = config = base.changed(arguments.config)
        self._tft_output = tft_output = tft.TFTransformOutput(arguments.transform_graph_path)
        self._catalogue = load_catalogue(items_pattern(arguments), tft_output, config)
        features, users = model_features(config, tft_output), user_vocabulary_size(tft_output)
        check_memory(config, features, self._catalogue, users)
        self._spec = spec = WindowSpec(config, features, self._catalogue.size, users)
        files = {"train": arguments.train_files, "eval": arguments.eval_files}
        self._eval_data = WindowData(files["eval"], spec)
        fitted = [pattern for split in config.training.fit_on for pattern in files[split]]
        self._train_data = data = WindowData(fitted, spec, worker_share(strategy))
        of_eval = numbers_of_chief(strategy, lambda: {"windows": self._eval_data.summary().windows})
        self._eval_windows = int(of_eval["windows"])
        summary = data.summary()
        self._labels = summary.labels
        with strategy.scope():
            self._model = self._new_model()
        start = self._warm_start()
        self._strategy = strategy
        evaluate = self._evaluate if self._eval_windows else None
        make_loop = AsynchronousLoop if has_servers(strategy) else TrainingLoop
        self.loop = make_loop(
            self._model,
            strategy,
            data,
            plan_batches(config.training, summary, strategy.num_replicas_in_sync),
            evaluate=measured_by_chief(strategy, evaluate),
            checkpoint_folder=checkpoint_folder(arguments, data.files),
            log_folder=arguments.model_run_dir,
            distillation=self._distillation(),
            on_step=on_step,
            start=start,
        )
        self._start = (*base.report, *(start.report if start else ()))
        for sentence in self._start:
            say(sentence)

    def train(self) -> TrainingResult:
        """Trains to the end."""
        return dataclasses.replace(self.loop.run(), start=self._start)

    def keep_state(self) -> None:
        """Writes what a later training can start from beside `serving_model_dir`, if `training.warm_start` is on."""
        if self._config.training.warm_start is not None:
            folder = posixpath.dirname(self._arguments.serving_model_dir)
            self.loop.keep_state(folder, weights_of(self._model, vocabularies(self._config, self._tft_output)))

    def exportable_model(self) -> RecommenderModel:
        """Returns the trained model with its variables on one device."""
        if self._config.training.strategy == "one_device":
            return self._model
        copy_variables(self._model.variables, self._copy.variables)
        return self._copy

    def stack(self, network: RecommenderModel, result: TrainingResult) -> tuple[StackedRecommender, TrainingResult]:
        """Stacks item neighbours and rating baselines on a trained network.

        Args:
            network: The trained model.
            result: The result of its training.

        Returns:
            The stacked model, and the result with the chosen weights and the metrics of the stacked model.
        """
        is_held_out = self._eval_windows > 0 and "eval" not in self._config.training.fit_on
        sample, left_out = self._sample if is_held_out else None, LeftOut()
        choices: list[str] = []

        def report(choice: str) -> None:
            choices.append(choice)
            say(choice)

        say("finding the items' neighbours")
        neighbours = fit_neighbours(network, self._train_data, sample, left_out, report)
        say("fitting the tasks' baselines")
        baselines = fit_rating_baselines(network, self._train_data, sample, left_out, report)
        model = StackedRecommender(network, neighbours, baselines)
        result = dataclasses.replace(result, weights=model.weights(), choices=tuple(choices), left_out=left_out.reasons)
        if sample is None:
            return model, result
        say(f"evaluating {sample.coverage}")
        metrics, errors = Evaluator(network, sample, model).measure()
        known = {name: error for name, error in errors.items() if not math.isnan(error)}
        coverage = dataclasses.asdict(sample.coverage)
        return model, dataclasses.replace(result, evaluation=metrics, errors=known, sample=coverage)

    def export(self, model: StackedRecommender) -> Exported:
        """Writes a model to `serving_model_dir`."""
        serving, raw = self._config.serving, self._arguments.custom_config[RAW_EVAL_FILES]
        if serving.tables == "int8":
            quantise_tables(model.network)
        return export_model(
            model,
            self._tft_output,
            self._config,
            self._arguments.serving_model_dir,
            queries=self._sample_queries(model.network),
            attributes=load_attributes(items_beside(raw), self._catalogue.item_ids, self._config),
            snapshot=load_snapshot(self._train_data, self._spec) if serving.snapshot else None,
            request_share=min(1.0, self._config.evaluation.requests / max(1, self._eval_windows)),
        )

    def _sample_queries(self, model: RecommenderModel) -> np.ndarray:
        """Encodes queries of the eval split, or of the training data if it is empty: float32 [at most 1024, D]."""
        if not self._config.has_approximate_index:
            return np.zeros((0, 0), np.float32)
        encode = tf.function(lambda window: model.encode_newest(window).embedding, autograph=False)
        queries: list[np.ndarray] = []
        for data in (self._eval_data, self._train_data):
            windows = data.evaluation_batches(_QUERY_BATCH).take(_QUERY_BATCHES)
            queries = queries or [encode(window).numpy() for window in windows]
        return np.concatenate(queries)

    def _distillation(self) -> Distillation | None:
        settings = self._config.training.distillation
        if settings is None:
            return None
        teacher = load_teacher(settings.teacher, self._catalogue.item_ids)
        return Distillation(settings, self._model, teacher, self._catalogue.frequencies)

    def _warm_start(self) -> WarmStart | None:
        """Moves the weights of the base model, if there is one."""
        base, spec = self._base, self._spec
        if base.state is None:
            return None
        weights = weights_of(self._model, vocabularies(self._config, self._tft_output))
        start = WarmStart(base.state, weights, self._catalogue, spec.features, base.moves_ids(self._config))
        start.move_weights()
        return start

    def _new_model(self) -> RecommenderModel:
        tf.keras.utils.set_random_seed(self._config.training.seed)
        spec = self._spec
        return RecommenderModel(self._config, spec.features, self._catalogue, spec.user_count, self._labels)

    @cached_property
    def _sample(self) -> UserSample:
        # Drawn on first use: of several workers the chief alone evaluates.
        return eval_sample(self._eval_data, self._config)

    @cached_property
    def _copy(self) -> RecommenderModel:
        """The model on one device."""
        return self._new_model()

    def _evaluate(self) -> dict[str, float]:
        """Returns the metrics of the present weights; those on servers are read once, not for every batch."""
        if has_servers(self._strategy):
            self.exportable_model()
        return self._epoch_evaluator.evaluate()

    @cached_property
    def _epoch_evaluator(self) -> Evaluator:
        return Evaluator(self._copy if has_servers(self._strategy) else self._model, self._sample)


def _write_json(arguments: RunArguments, name: str, values: dict[str, Any]) -> None:
    with tf.io.gfile.GFile(posixpath.join(arguments.model_run_dir, name), "w") as file:
        file.write(json.dumps(_without_nan(values), indent=2, allow_nan=False))


def _without_nan(value: Any) -> Any:
    """Replaces NaN, which JSON does not have, by null."""
    if isinstance(value, Mapping):
        return {name: _without_nan(own) for name, own in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def items_pattern(arguments: RunArguments) -> list[str]:
    """Returns the patterns of the transformed catalogue beside the train split; none without an items table."""
    return sorted({found for pattern in arguments.train_files for found in items_beside(pattern)})


def items_beside(pattern: str) -> list[str]:
    """Returns the pattern of the catalogue beside another split's: `<uri>/Split-train/*` -> `<uri>/Split-items/*`."""
    folder = posixpath.dirname(posixpath.dirname(pattern))
    items = posixpath.join(folder, f"Split-{feature_names.ITEMS_SPLIT}", "*")
    return [items] if tf.io.gfile.glob(items) else []


def checkpoint_folder(arguments: RunArguments, files: list[str]) -> str:
    """Returns the checkpoint folder of a training, by a digest of its data, of the model that it starts from, and of
    the configuration and code that its epochs depend on.

    A run that failed after its epochs reuses their weights, even if what follows them has changed since.
    """
    code = code_fingerprint(*TRAINING_CODE)
    key = json.dumps([dump_config(arguments.config, *TRAINING), code, files, arguments.base_model])
    return posixpath.join(arguments.custom_config["checkpoint_folder"], hashlib.sha256(key.encode()).hexdigest()[:16])
