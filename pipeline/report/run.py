"""The report of a local run, and the digest by which a cached run finds its report written already."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config import Config, dump_config
from pipeline.messages import read_warnings

Outputs = Mapping[str, list[Any]]
"""A component's TFX artifacts by key."""


def run_digest(config: Config, outputs: Mapping[str, Outputs], verdict: str) -> str:
    """Returns a digest of the inputs of a page: the configuration, every component's artifacts, the verdict."""
    uris = {name: {key: [a.uri for a in found] for key, found in keys.items()} for name, keys in outputs.items()}
    text = json.dumps([dump_config(config), uris, verdict], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_digest(page: str | Path, digest: str) -> bool:
    """Returns whether the page exists and is of the run with this digest."""
    path = Path(page)
    return path.exists() and f'content="{digest}"' in path.read_text(encoding="utf-8")


def report_run(
    path: str | Path,
    config: Config,
    states: Mapping[str, str],
    outputs: Mapping[str, Outputs],
    metrics: Mapping[str, str] | None = None,
    verdict: str = "",
) -> None:
    """Writes the report of a run, finished or failed.

    Args:
      path: The HTML file; its folder exists.
      config: The configuration that ran.
      states: The state of each component, in the order in which they ran.
      outputs: The output artifacts of the components that have any.
      metrics: The main metric of each component.
      verdict: The outcome for the model, in a sentence.

    Raises:
      OSError: see `write_report`.
    """
    from pipeline.report.page import Artifacts, Component, write_report  # matplotlib: a run from the cache needs none

    artifacts = Artifacts(
        examples=_uri(outputs, "InteractionExampleGen", "examples"),
        model_run=_uri(outputs, "Trainer", "model_run"),
        evaluation=evaluation_of(outputs),
        distances=_uri(outputs, "AnomalyGate", "comparisons"),
    )
    components = [
        Component(
            name,
            state,
            (metrics or {}).get(name, ""),
            tuple(str(artifact.uri) for found in outputs.get(name, {}).values() for artifact in found),
            tuple(read_warnings(name, outputs.get(name, {}))),
        )
        for name, state in states.items()
    ]
    write_report(path, config, artifacts, components, verdict, run_digest(config, outputs, verdict))


def evaluation_of(outputs: Mapping[str, Outputs]) -> str | None:
    """Returns the folder of the run's evaluation; None where there is none."""
    return _uri(outputs, "Evaluator", "evaluation")


def _uri(outputs: Mapping[str, Outputs], component: str, key: str) -> str | None:
    artifacts = outputs.get(component, {}).get(key, [])
    return str(artifacts[0].uri) if artifacts else None
