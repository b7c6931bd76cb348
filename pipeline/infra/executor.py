"""The executor: serve the candidate, ask it, write the standard InfraBlessing."""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import chain
from statistics import median
from typing import Any, Final

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from pipeline.config import Config, parse_config
from pipeline.infra.candidate import MODEL_NAME, CandidateError, serve_candidate
from pipeline.infra.checks import answer_faults, batch_faults, metadata_faults
from pipeline.infra.requests import Probe, read_probes
from serving.client import RecommenderClient, RecommenderError

LOAD_TIMEOUT: Final = 300.0
CALL_TIMEOUT: Final = 60.0
"""Seconds; the first calls build what the graph needs."""

# The names that TFX's Pusher and other readers of the artifact look for.
_BLESSED_PROPERTY: Final = "blessed"
_BLESSED_FILE: Final = "INFRA_BLESSED"
_NOT_BLESSED_FILE: Final = "INFRA_NOT_BLESSED"
REPORT_FILE: Final = "infra_validation.json"


@dataclass(frozen=True)
class Verdict:
    """The outcome: `reason` is empty for a blessed model, else one line."""

    reason: str
    requests: int = 0
    load_seconds: float = 0.0
    median_milliseconds: float = 0.0

    @property
    def blessed(self) -> bool:
        """Whether the model may be pushed."""
        return not self.reason


class Executor(base_executor.BaseExecutor):
    """Blesses a model that a server loads and that answers requests of the eval split."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Runs the validation. A model that fails is not blessed; nothing is raised for it."""
        config = parse_config(exec_properties["config"], "config of InfraValidator")
        model = artifact_utils.get_single_instance(input_dict["model"])
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        files = os.path.join(artifact_utils.get_split_uri([examples], "eval"), "*")
        serving_config = config.serving
        probes = read_probes(
            files, serving_config.infra_validation_requests, serving_config.default_k, serving_config.exclude_history
        )
        verdict = validate(config, path_utils.serving_model_path(model.uri), probes)
        _write(blessing, verdict)


def validate(config: Config, model_path: str, probes: list[Probe]) -> Verdict:
    """Serves the SavedModel in `model_path` and sends it the probes."""
    with tempfile.TemporaryDirectory() as folder:
        if "://" in model_path:
            io_utils.copy_dir(model_path, folder)
            model_path = folder
        started = time.monotonic()
        try:
            with serve_candidate(model_path, LOAD_TIMEOUT) as address:
                return _ask(config, address, probes, time.monotonic() - started)
        except (CandidateError, RecommenderError) as error:
            return Verdict(" ".join(str(error).split()))


def _ask(config: Config, address: str, probes: list[Probe], load_seconds: float) -> Verdict:
    with RecommenderClient(address, MODEL_NAME, timeout=CALL_TIMEOUT) as client:
        metadata = client.metadata()
        answers, seconds = [], []
        for probe in probes:
            started = time.perf_counter()
            answers += client.recommend_examples([probe.example])
            seconds.append(time.perf_counter() - started)
        batch = client.recommend_examples([probe.example for probe in probes])
    tasks = list(config.ranking)
    faults = chain(
        metadata_faults(metadata, config.retrieval is not None),
        *(answer_faults(n, p, a, tasks) for n, (p, a) in enumerate(zip(probes, answers, strict=True))),
        batch_faults(answers, batch),
    )
    return Verdict(next(faults, ""), len(probes), round(load_seconds, 3), round(median(seconds) * 1e3, 3))


def _write(blessing: Any, verdict: Verdict) -> None:
    name = _BLESSED_FILE if verdict.blessed else _NOT_BLESSED_FILE
    report = json.dumps({"blessed": verdict.blessed, **asdict(verdict)}, indent=2)
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    io_utils.write_string_file(os.path.join(blessing.uri, REPORT_FILE), report)
    blessing.set_int_custom_property(_BLESSED_PROPERTY, int(verdict.blessed))
    blessing.set_string_custom_property("reason", verdict.reason)
    if verdict.blessed:
        speed = f"{verdict.requests} requests, {verdict.median_milliseconds:.1f} ms each"
        logging.info("Infra validation: blessed (loaded in %.1f s; %s)", verdict.load_seconds, speed)
    else:
        logging.error("Infra validation: not blessed: %s", verdict.reason)
