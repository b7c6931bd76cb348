"""From the served version to the training that its model is of."""

import json
import posixpath
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tfx.utils import path_utils

from config import Config, parse_config
from config.load import changed_config
from pipeline.lineage import Lineage, Pushed, custom_config
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE
from trainer.refresh import TrainedModel


class SourceError(Exception):
    """There is no model to refresh. The message says why and what to do."""


class Source(NamedTuple):
    """The model of a version.

    Attributes:
      version: The newest version of that training: the one that a refresh replaces.
      artifact: The Trainer's Model artifact.
      model: What it was made of.
    """

    version: int
    artifact: Any
    model: TrainedModel


def find_source(store: Any, pushed: list[Pushed], served: list[int], config: Config) -> Source:
    """Finds the training of the newest served version; of a refreshed one, that of the version it was made from.

    Args:
      store: The `ml_metadata.MetadataStore`.
      pushed: The history of pushed versions.
      served: The versions in the serving folder, oldest first.
      config: The configuration as it is now.

    Raises:
      SourceError: No version is served, ML Metadata does not know it, an artifact was removed, or the item features of
        the configuration are not the model's.
    """
    known = {entry.version: entry for entry in pushed}
    if not served:
        raise SourceError("no version is served, so there is no model to refresh: `tfx_runner.py run` makes one")
    if served[-1] not in known:
        raise SourceError(f"version {served[-1]}, the newest, is not in the metadata: nothing tells of its training")
    newest = known[served[-1]]
    artifact = _artifact(store, newest.model)
    lineage = Lineage(store)
    trainer = lineage.producer(artifact)
    inputs, run = lineage.inputs(trainer), lineage.outputs(trainer).get("model_run")
    custom = custom_config(trainer)
    needed: dict[str, Any] = {
        **{name: inputs.get(name) for name in ("examples", "transform_graph", "raw_examples")},
        "model_run": run,
    }
    gone = [name for name, found in needed.items() if found is None or not tf.io.gfile.exists(found.uri)]
    if gone or not tf.io.gfile.exists(newest.model):
        lost = ", ".join(gone or ["model"])
        raise SourceError(
            f"artifacts of the training of version {newest.version} were removed ({lost}), and a refresh reads them. "
            "`tfx_runner.py run` trains a new model"
        )
    own = _tuned(parse_config(custom["config"], "the Trainer's configuration"), inputs.get("hyperparameters"))
    if own.features.item != config.features.item or own.data.items is None:
        raise SourceError(
            f"`features.item` is not what version {newest.version} was trained with. Change it back, or train: "
            "`tfx_runner.py run`"
        )
    examples, raw = needed["examples"].uri, needed["raw_examples"].uri
    model = TrainedModel(
        config=own,
        saved_model=path_utils.serving_model_path(newest.model),
        golden_responses=posixpath.join(needed["model_run"].uri, GOLDEN_RESPONSES_FILE),
        transform_graph=needed["transform_graph"].uri,
        train_files=[posixpath.join(examples, "Split-train", "*")],
        eval_files=[posixpath.join(examples, "Split-eval", "*")],
        raw_eval_files=posixpath.join(raw, "Split-eval", "*"),
    )
    return Source(newest.refresh_of or newest.version, artifact, model)


def _artifact(store: Any, uri: str) -> Any:
    found = store.get_artifacts_by_uri(uri) if uri else []
    if not found:
        raise SourceError("the served version's model is not in the metadata: nothing tells of its training")
    return found[0]


def _tuned(config: Config, hyperparameters: Any) -> Config:
    """Returns the configuration with the Tuner's values."""
    if hyperparameters is None:
        return config
    (file,) = Path(hyperparameters.uri).glob("*") if Path(hyperparameters.uri).is_dir() else [hyperparameters.uri]
    return changed_config(config, json.loads(Path(file).read_text(encoding="utf-8"))["values"])
