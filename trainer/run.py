"""The entry of TFX's Trainer: transformed examples to a SavedModel."""

import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from pipeline import layout
from pipeline.calls import ANSWERS_FILE
from pipeline.config import Config, parse_config
from trainer.catalogue import Catalogue, load_catalogue
from trainer.data import WindowData
from trainer.distribution import make_strategy
from trainer.executor import RAW_EVAL_FILES
from trainer.expected import write_expected_answers
from trainer.export import export_model
from trainer.loop import TrainingLoop, TrainingResult
from trainer.metrics import Evaluator
from trainer.model import RecommenderModel
from trainer.windows import WindowSpec
from transform.features import model_features, user_vocabulary_size

RESULT_FILE = "training.json"
"""In the `model_run` artifact: what `TrainingResult` says, as JSON."""


def run_fn(fn_args: FnArgs) -> None:
    """Trains and exports to `serving_model_dir`; `RESULT_FILE`, `ANSWERS_FILE` and logs go to `model_run_dir`.

    `custom_config` holds `config`, the configuration as JSON; `checkpoint_folder`, a folder that outlives the run;
    `fingerprint`, a digest of the code; and `RAW_EVAL_FILES`, which `trainer.executor` adds.
    """
    config = parse_config(fn_args.custom_config["config"], "custom_config")
    tft_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    catalogue = load_catalogue(_items_pattern(fn_args), tft_output, config)
    job = TrainingJob(config, tft_output, catalogue, fn_args)
    result = job.train()
    exported = export_model(job.exportable_model(), tft_output, config, fn_args.serving_model_dir)
    answers = posixpath.join(fn_args.model_run_dir, ANSWERS_FILE)
    write_expected_answers(exported, fn_args.custom_config[RAW_EVAL_FILES], answers)
    with tf.io.gfile.GFile(posixpath.join(fn_args.model_run_dir, RESULT_FILE), "w") as file:
        file.write(json.dumps(dataclasses.asdict(result), indent=2))
    job.loop.remove_checkpoints()


class TrainingJob:
    """A model, its data and its loop, put together as configured.

    Args:
        config: the configuration.
        tft_output: the transform graph.
        catalogue: the items.
        fn_args: the files and folders.
    """

    def __init__(
        self, config: Config, tft_output: tft.TFTransformOutput, catalogue: Catalogue, fn_args: FnArgs
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        features, users = model_features(config, tft_output), user_vocabulary_size(tft_output)
        spec = WindowSpec(config, features, catalogue.size, users)
        self._spec = spec
        strategy = make_strategy(config.training)
        files = {"train": fn_args.train_files, "eval": fn_args.eval_files}
        data = WindowData([p for split in config.training.fit_on for p in files[split]], spec)
        summary = data.summary()
        self._labels = summary.labels
        with strategy.scope():
            self._model = self._new_model()
        self.loop = TrainingLoop(
            self._model,
            strategy,
            data,
            summary.windows,
            evaluate=self._evaluator(fn_args.eval_files),
            checkpoint_folder=_checkpoint_folder(fn_args.custom_config, data.files),
            log_folder=fn_args.model_run_dir,
        )

    def train(self) -> TrainingResult:
        """Trains to the end."""
        return self.loop.run()

    def exportable_model(self) -> RecommenderModel:
        """The trained model with its variables on one device."""
        if self._config.training.strategy == "one_device":
            return self._model
        model = self._new_model()
        for target, source in zip(model.variables, self._model.variables, strict=True):
            target.assign(source.read_value())
        return model

    def _new_model(self) -> RecommenderModel:
        tf.keras.utils.set_random_seed(self._config.training.seed)
        spec = self._spec
        return RecommenderModel(self._config, spec.features, self._catalogue, spec.user_count, self._labels)

    def _evaluator(self, patterns: list[str]) -> Callable[[], dict[str, float]] | None:
        """Nothing to evaluate with where the eval split is empty."""
        data = WindowData(patterns, self._spec)
        return Evaluator(self._model, data).evaluate if data.summary().windows else None


def _items_pattern(fn_args: FnArgs) -> list[str]:
    """The items split lies beside the train split: `<uri>/Split-train/*` -> `<uri>/Split-items/*`."""
    folders = sorted({posixpath.dirname(posixpath.dirname(pattern)) for pattern in fn_args.train_files})
    patterns = [posixpath.join(folder, f"Split-{layout.ITEMS_SPLIT}", "*") for folder in folders]
    return [pattern for pattern in patterns if tf.io.gfile.glob(pattern)]


def _checkpoint_folder(custom_config: dict[str, Any], files: list[str]) -> str:
    """A folder for exactly this training: the same data, configuration and code find it again."""
    key = json.dumps([custom_config["config"], custom_config["fingerprint"], files])
    return posixpath.join(custom_config["checkpoint_folder"], hashlib.sha256(key.encode()).hexdigest()[:16])
