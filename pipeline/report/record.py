"""The record of a run for comparisons, `run.json`: its data, configuration, code and artifacts, in the folder
`reports/<run>` beside its report and metrics."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config import Config, dump_config
from config.fingerprint import TRAINER_CODE, code_fingerprint
from pipeline.report.run import Outputs

PAGE: Final = "report.html"
METRICS: Final = "metrics.json"
RECORD: Final = "run.json"


def write_record(
    path: Path, config: Config, run: str, states: Mapping[str, str], outputs: Mapping[str, Outputs], verdict: str
) -> None:
    """Writes the record of a run, finished or failed.

    Args:
      path: The JSON file; its folder exists.
      config: The configuration that ran.
      run: The run's id.
      states: The state of each component, in the order in which they ran.
      outputs: The output artifacts of the components that have any.
      verdict: The outcome for the model, in a sentence.
    """
    values = {
        "run": run,
        "verdict": verdict,
        "configuration": json.loads(dump_config(config)),
        "code": code_fingerprint(*TRAINER_CODE),
        "data": _data(outputs),
        "states": dict(states),
        "artifacts": {n: {key: [str(a.uri) for a in found] for key, found in of.items()} for n, of in outputs.items()},
    }
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _data(outputs: Mapping[str, Outputs]) -> dict[str, Any]:
    """Returns counts of ingest's report by name; no values of the data."""
    from pipeline.ingest.report import FILE, spans_line

    examples = outputs.get("InteractionExampleGen", {}).get("examples", [])
    if not examples:
        return {}
    report = json.loads(Path(examples[0].uri, FILE).read_text(encoding="utf-8"))
    log = report.get("interactions", {})
    counts = {f"log: {name}": log[name] for name in ("rows", "kept") if name in log}
    counts |= {f"{split}: {name}": n for split, of in report.get("splits", {}).items() for name, n in of.items()}
    return ({"spans": spans_line(report)} if spans_line(report) else {}) | counts


def publish(kept: Path, newest: Path) -> None:
    """Makes a kept file the newest run's, in one step and without a second copy of its bytes."""
    partial = newest.with_name(f".{newest.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(kept, partial)
    except OSError:  # a file system without hard links
        partial.write_bytes(kept.read_bytes())
    os.replace(partial, newest)


@dataclass(frozen=True)
class Recorded:
    """A run as its folder in `reports` tells of it."""

    record: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Recorded":
        """Reads a folder. Raises `OSError` or `ValueError` where its files are missing or are no JSON."""
        record, metrics = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (RECORD, METRICS))
        return cls(record, metrics)

    @property
    def run(self) -> str:
        """The run's id."""
        return str(self.record["run"])

    def settings(self) -> dict[str, Any]:
        """Returns the configuration by dotted keys: `{"training.epochs": 12, ...}`."""
        return dict(_flat("", self.record["configuration"]))

    def measured(self) -> dict[tuple[str, str], tuple[float, float | None]]:
        """Returns value and standard error, where one is known, by split and metric."""
        return {
            (split, name): (metric["value"], metric.get("standard_error"))
            for split, of in self.metrics["splits"].items()
            for name, metric in of["metrics"].items()
            if metric["value"] is not None
        }


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(prefix, value)]
    return [entry for name, own in value.items() for entry in _flat(f"{prefix}.{name}" if prefix else name, own)]
