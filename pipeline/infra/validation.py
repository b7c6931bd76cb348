"""The validation: serve the candidate, send it requests, check the answers."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from tfx.utils import io_utils

from config import Config
from pipeline.infra.candidate import MODEL_NAME, CandidateError, serve_candidate
from pipeline.infra.checks import (
    Probe,
    answer_faults,
    approximate_batch_faults,
    batch_faults,
    batches,
    latency_faults,
    measure_latency,
    metadata_faults,
)
from pipeline.infra.replay import replay_faults
from serving.client import RecommenderClient, RecommenderError
from trainer.export.index.exact import SMALL_BATCH

LOAD_TIMEOUT: Final = 300.0
CALL_TIMEOUT: Final = 60.0
"""Seconds; the first calls build what the graph needs."""


@dataclass(frozen=True)
class Verdict:
    """The outcome: `reason` is empty for a blessed model, else one line."""

    reason: str
    server: str
    """`embedded`, or the binary or image that answered."""
    requests: int = 0
    signatures: int = 0
    """The number of signatures whose answers were compared with the Trainer's."""
    load_seconds: float = 0.0
    p50_milliseconds: float = 0.0
    p99_milliseconds: float = 0.0

    @property
    def blessed(self) -> bool:
        """Whether the model may be pushed."""
        return not self.reason


def validate(
    config: Config, model_path: str, probes: Sequence[Probe], log: Sequence[Any], is_approximate: bool
) -> Verdict:
    """Serves a model, sends it the probes and replays the prediction log.

    Args:
      config: The configuration.
      model_path: The SavedModel, local or on an object store.
      probes: Requests.
      log: PredictLogs with golden responses.
      is_approximate: Whether the model's index may miss an item.

    Raises:
      ServerMissingError: The configured server is not on this machine.
    """
    infra = config.serving.infra
    with tempfile.TemporaryDirectory() as folder:
        if "://" in model_path:
            io_utils.copy_dir(model_path, folder)
            model_path = folder
        started = time.monotonic()
        try:
            with serve_candidate(model_path, infra, LOAD_TIMEOUT) as address:
                load_seconds = time.monotonic() - started
                return _check(config, address, probes, log, is_approximate, load_seconds)
        except (CandidateError, RecommenderError) as error:
            return Verdict(" ".join(str(error).split()), _server(config))


def _check(
    config: Config,
    address: str,
    probes: Sequence[Probe],
    log: Sequence[Any],
    is_approximate: bool,
    load_seconds: float,
) -> Verdict:
    infra = config.serving.infra
    with RecommenderClient(address, MODEL_NAME, timeout=CALL_TIMEOUT) as client:
        signatures = list(client.metadata().signatures)
        faults = chain(
            metadata_faults(client.metadata(), config.retrieval is not None, bool(config.multiclass)),
            recommendation_faults(config, client, probes, is_approximate),
            replay_faults(address, MODEL_NAME, log, signatures),
        )
        reason = next(faults, "")
        latency = measure_latency(client, probes, infra.latency_requests)
    return Verdict(
        reason or next(latency_faults(latency, infra), ""),
        _server(config),
        requests=len(probes),
        signatures=len({call.request.model_spec.signature_name for call in log}),
        load_seconds=round(load_seconds, 3),
        p50_milliseconds=round(latency.p50, 3),
        p99_milliseconds=round(latency.p99, 3),
    )


def recommendation_faults(
    config: Config, client: RecommenderClient, probes: Sequence[Probe], is_approximate: bool
) -> Iterator[str]:
    """Yields the faults of the answers to the probes, alone and in batches; see `validate`."""
    answers = [client.recommend_examples([probe.example])[0] for probe in probes]
    for number, (probe, answer) in enumerate(zip(probes, answers, strict=True)):
        yield from answer_faults(number, probe, answer, list(config.ranking), by_score=not config.serving.is_diverse)
    # Above this size an approximate index may score every item, which is another search than that of one request.
    parts = batches(probes, SMALL_BATCH if is_approximate else len(probes))
    together = [answer for part in parts for answer in client.recommend_examples([probe.example for probe in part])]
    yield from (approximate_batch_faults if is_approximate else batch_faults)(answers, together)


def _server(config: Config) -> str:
    infra = config.serving.infra
    return infra.binary or infra.image or "embedded"
