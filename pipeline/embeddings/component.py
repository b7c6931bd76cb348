"""The EmbeddingExporter: a pushed model in, its candidates' embeddings and its query tower out."""

import hashlib
import json
import posixpath
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from config import Config
from config.fingerprint import code_fingerprint
from config.tasks import NETWORK, RetrievalTask
from pipeline.embeddings.candidates import write_candidates
from pipeline.embeddings.query_tower import SIGNATURE, save_query_tower
from serving.manifest import MANIFEST
from trainer.run import RESULT_FILE

CANDIDATES_FILE: Final = "candidates.parquet"
QUERY_TOWER: Final = "query_tower"
DESCRIPTION_FILE: Final = "embeddings.json"


@component
def EmbeddingExporter(  # noqa: N802 (a component, named as TFX's)
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    pushed_model: InputArtifact[standard_artifacts.PushedModel],
    embeddings: OutputArtifact[standard_artifacts.InferenceResult],
    task: Parameter[str],
    dimension: Parameter[int],
    rows: Parameter[int],
    fingerprint: Parameter[str],
) -> None:
    """Writes the embeddings of a model that was pushed; of one that was not, nothing.

    Args:
      model: The model.
      model_run: The Trainer's model run, with the weights of what is added to the towers' score.
      pushed_model: What the Pusher wrote: whether the model was pushed, and as which version.
      embeddings: The output: `CANDIDATES_FILE`, `QUERY_TOWER`/<version> and `DESCRIPTION_FILE`; its property
        `exported` says whether there are any. It is of a type of TFX, since Kubeflow knows no others at run time.
      task: The retrieval task's name.
      dimension: D, of the towers' vectors.
      rows: The number of items that are embedded at a time.
      fingerprint: A digest of the code, for the cache key.
    """
    del fingerprint
    is_pushed = pushed_model.get_int_custom_property("pushed")
    embeddings.set_int_custom_property("exported", int(is_pushed))
    fileio.makedirs(embeddings.uri)
    if not is_pushed:
        logging.info("Embeddings: none exported, the model was not pushed")
        return
    import tensorflow as tf

    version = pushed_model.get_string_custom_property("pushed_version")
    manifest = io_utils.read_string_file(posixpath.join(pushed_model.uri, MANIFEST))
    weights = json.loads(io_utils.read_string_file(posixpath.join(model_run.uri, RESULT_FILE)))["weights"]
    of_model = {
        "model_version": version,
        "manifest_sha256": hashlib.sha256(manifest.encode()).hexdigest(),
        "metric": "inner_product",
    }
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    candidates = posixpath.join(embeddings.uri, CANDIDATES_FILE)
    items, width = write_candidates(loaded, candidates, rows, of_model)
    save_query_tower(loaded, posixpath.join(embeddings.uri, QUERY_TOWER, version))
    description = {
        **of_model,
        "items": items,
        "dimension": width,
        "parts": {"vector": [0, dimension], "bias": [dimension, dimension + 1], "trend": [dimension + 1, width]},
        "not_in_vectors": {name: weight for name, weight in weights.get(task, {}).items() if name != NETWORK},
        "candidates": CANDIDATES_FILE,
        "query_tower": posixpath.join(QUERY_TOWER, version),
        "query_signature": SIGNATURE,
    }
    io_utils.write_string_file(posixpath.join(embeddings.uri, DESCRIPTION_FILE), json.dumps(description, indent=2))
    embeddings.set_string_custom_property("model_version", version)
    logging.info("Embeddings: %d vectors of %d dimensions of version %s", items, width, version)


def make_embedding_exporter(
    config: Config, model: types.BaseChannel, model_run: types.BaseChannel, pushed_model: types.BaseChannel
) -> BaseComponent | None:
    """Makes the component of a configuration; None where `serving.embeddings` is off."""
    if not config.serving.embeddings:
        return None
    settings: dict[str, Any] = {
        "task": next(name for name, task in config.tasks.items() if isinstance(task, RetrievalTask)),
        "dimension": config.model.dimension,
        "rows": config.serving.max_candidates,
        "fingerprint": code_fingerprint("pipeline/embeddings"),
    }
    return EmbeddingExporter(model=model, model_run=model_run, pushed_model=pushed_model, **settings)
