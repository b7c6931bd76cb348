"""The InfraValidator: Model, ModelRun and Examples in, InfraBlessing out."""

import json
import os
import posixpath
from dataclasses import asdict
from typing import Any, Final

from absl import logging
from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, path_utils

from config import Config, dump_config, parse_config
from config.dump import INFRA
from config.fingerprint import INFRA_CODE, code_fingerprint
from pipeline.infra.checks import read_probes
from pipeline.infra.validation import validate
from trainer.export.index.build import INDEX_FILE
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, read_prediction_log

REPORT_FILE: Final = "infra_validation.json"


@component
def InfraValidator(  # noqa: N802 (a component, named as TFX's)
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    examples: InputArtifact[standard_artifacts.Examples],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    config: Parameter[str],
    fingerprint: Parameter[str],
) -> None:
    """Blesses a model that a server loads, and whose answers are sensible and equal to the Trainer's.

    TFX's own InfraValidator needs Docker or a Kubeflow V1 pod; this one runs, and compiles, wherever Python does.
    A model that fails is not blessed; nothing is raised for it.

    Args:
      model: The candidate.
      model_run: The Trainer's model run, with the golden responses.
      examples: Examples with the split `eval`, from which requests are made.
      blessing: The output, with the names and properties that TFX's Pusher reads.
      config: The configuration as JSON.
      fingerprint: A digest of the code, for the cache key.

    Raises:
      ServerMissingError: The configured server is not on this machine.
    """
    del fingerprint
    parsed = parse_config(config, "config of InfraValidator")
    serving = parsed.serving
    files = os.path.join(artifact_utils.get_split_uri([examples], "eval"), "*")
    # The index that the Trainer built may not be the one that is configured.
    index = posixpath.join(model_run.uri, INDEX_FILE)
    is_approximate = fileio.exists(index) and json.loads(io_utils.read_string_file(index))["kind"] != "exact"
    verdict = validate(
        parsed,
        path_utils.serving_model_path(model.uri),
        read_probes(files, serving.infra.requests, serving.default_k, serving.exclude_history),
        read_prediction_log(posixpath.join(model_run.uri, GOLDEN_RESPONSES_FILE)),
        is_approximate,
    )
    name = "INFRA_BLESSED" if verdict.blessed else "INFRA_NOT_BLESSED"
    report = json.dumps({"blessed": verdict.blessed, **asdict(verdict)}, indent=2)
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    io_utils.write_string_file(os.path.join(blessing.uri, REPORT_FILE), report)
    blessing.set_int_custom_property("blessed", int(verdict.blessed))
    blessing.set_string_custom_property("reason", verdict.reason)
    if verdict.blessed:
        speed = f"p50 {verdict.p50_milliseconds:.1f} ms, p99 {verdict.p99_milliseconds:.1f} ms"
        logging.info("Infra validation: blessed (loaded in %.1f s; %s)", verdict.load_seconds, speed)
    else:
        logging.error("Infra validation: not blessed: %s", verdict.reason)


def make_infra_validator(
    config: Config, model: types.BaseChannel, model_run: types.BaseChannel, examples: types.BaseChannel
) -> BaseComponent:
    """Makes the component of a configuration; `examples` should hold the split `eval`."""
    settings: dict[str, Any] = {
        "config": dump_config(config, *INFRA),
        "fingerprint": code_fingerprint(*INFRA_CODE),
    }
    return InfraValidator(model=model, model_run=model_run, examples=examples, **settings)
