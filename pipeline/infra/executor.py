"""The executor: validate the candidate, write the standard InfraBlessing."""

import json
import os
import posixpath
from dataclasses import asdict
from typing import Any, Final

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from config import parse_config
from pipeline.infra.requests import read_probes
from pipeline.infra.validation import Verdict, validate
from trainer.export.index.build import INDEX_FILE
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, read_prediction_log

# The names that TFX's Pusher and other readers of the artifact look for.
_BLESSED_PROPERTY: Final = "blessed"
_BLESSED_FILE: Final = "INFRA_BLESSED"
_NOT_BLESSED_FILE: Final = "INFRA_NOT_BLESSED"
REPORT_FILE: Final = "infra_validation.json"


class Executor(base_executor.BaseExecutor):
    """Blesses a model that a server loads, and that answers requests of the eval split as the Trainer's model does."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Runs the validation. A model that fails is not blessed; nothing is raised for it.

        Raises `ServerMissingError` when the configured server is not on this machine.
        """
        config = parse_config(exec_properties["config"], "config of InfraValidator")
        model, model_run, examples = (
            artifact_utils.get_single_instance(input_dict[name]) for name in ("model", "model_run", "examples")
        )
        files = os.path.join(artifact_utils.get_split_uri([examples], "eval"), "*")
        serving = config.serving
        probes = read_probes(files, serving.infra.requests, serving.default_k, serving.exclude_history)
        calls = read_prediction_log(posixpath.join(model_run.uri, GOLDEN_RESPONSES_FILE))
        path = path_utils.serving_model_path(model.uri)
        verdict = validate(config, path, probes, calls, _has_approximate_index(model_run.uri))
        _write(artifact_utils.get_single_instance(output_dict["blessing"]), verdict)


def _has_approximate_index(model_run: str) -> bool:
    """By what the Trainer built, which may not be what is configured; nothing without a retrieval task."""
    path = posixpath.join(model_run, INDEX_FILE)
    return fileio.exists(path) and json.loads(io_utils.read_string_file(path))["kind"] != "exact"


def _write(blessing: Any, verdict: Verdict) -> None:
    name = _BLESSED_FILE if verdict.blessed else _NOT_BLESSED_FILE
    report = json.dumps({"blessed": verdict.blessed, **asdict(verdict)}, indent=2)
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    io_utils.write_string_file(os.path.join(blessing.uri, REPORT_FILE), report)
    blessing.set_int_custom_property(_BLESSED_PROPERTY, int(verdict.blessed))
    blessing.set_string_custom_property("reason", verdict.reason)
    if verdict.blessed:
        speed = f"p50 {verdict.p50_milliseconds:.1f} ms, p99 {verdict.p99_milliseconds:.1f} ms"
        logging.info("Infra validation: blessed (loaded in %.1f s; %s)", verdict.load_seconds, speed)
    else:
        logging.error("Infra validation: not blessed: %s", verdict.reason)
