"""From what the local runner knows of a run to its report."""

from collections.abc import Mapping
from pathlib import Path

from config import Config
from pipeline.report.page import Artifacts, Component, write_report
from pipeline.report.run_digest import Outputs, run_digest
from pipeline.warnings import read_warnings


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
      states: What became of each component, in the order in which they ran.
      outputs: The output artifacts of the components that have any.
      metrics: The main metric of each component.
      verdict: What became of the model, in a sentence.

    Raises:
      OSError: see `write_report`.
    """
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
            _uris(outputs.get(name, {})),
            tuple(read_warnings(name, outputs.get(name, {}))),
        )
        for name, state in states.items()
    ]
    write_report(path, config, artifacts, components, verdict, run_digest(config, outputs, verdict))


def evaluation_of(outputs: Mapping[str, Outputs]) -> str | None:
    """The folder of the run's evaluation; None where there is none."""
    return _uri(outputs, "Evaluator", "evaluation")


def _uri(outputs: Mapping[str, Outputs], component: str, key: str) -> str | None:
    artifacts = outputs.get(component, {}).get(key, [])
    return str(artifacts[0].uri) if artifacts else None


def _uris(outputs: Outputs) -> tuple[str, ...]:
    return tuple(str(artifact.uri) for artifacts in outputs.values() for artifact in artifacts)
