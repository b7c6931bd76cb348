"""The metrics of a run for programs: metrics.json beside the report. docs/reference/metrics.md describes it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from config import Config
from pipeline.evaluation.results import Headline, Verdict, blessing_reasons, headlines, read_verdicts
from trainer.metrics.names import EXAMPLES, LIFT, POPULARITY, STANDARD_ERROR, USERS, main_metric

_COUNTS: Final[tuple[str, ...]] = (USERS, EXAMPLES)


def write_metrics(
    path: str | Path, config: Config, run: str, evaluation: str | None, failed: str | None, pushed: str | None
) -> None:
    """Writes the metrics of a run, also of one that failed before it was evaluated.

    Args:
      path: The JSON file; its folder exists.
      config: The configuration that ran.
      run: The run's id.
      evaluation: The folder of the evaluation; None where nothing was evaluated.
      failed: The component that failed, if one did.
      pushed: The folder of the version that answers, if this run's does.

    Raises:
      OSError: the file cannot be written.
    """
    metric, split = main_metric(config)
    values = {
        "pipeline": config.name,
        "run": run,
        "failed": failed,
        "pushed": pushed,
        "blessed": None if evaluation is None else not blessing_reasons(evaluation),
        "main": {"metric": metric, "split": split},
        "splits": {} if evaluation is None else {s: _split(found) for s, found in headlines(evaluation).items()},
        "gates": [] if evaluation is None else [_gate(verdict) for verdict in read_verdicts(evaluation)],
    }
    Path(path).write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _split(found: Headline) -> dict[str, Any]:
    metrics = found.metrics
    counts = {name: int(metrics[name]) for name in _COUNTS if name in metrics}
    names = [n for n in metrics if n not in _COUNTS and not n.startswith((POPULARITY, LIFT, STANDARD_ERROR))]
    return {"group": found.group, **counts, "metrics": {name: _metric(metrics, name) for name in sorted(names)}}


def _metric(metrics: Mapping[str, float], name: str) -> dict[str, Any]:
    """Returns the model's metric, and `popularity` and `lift` where there is a baseline."""
    beside = ((kind.rstrip("_"), kind + name) for kind in (POPULARITY, LIFT))
    return {**_value(metrics, name), **{kind: _value(metrics, key) for kind, key in beside if key in metrics}}


def _value(metrics: Mapping[str, float], name: str) -> dict[str, float | None]:
    """Returns null where the metric is undefined, and no standard error where none is known."""
    error = metrics.get(STANDARD_ERROR + name, math.nan)
    known = {} if math.isnan(error) else {"standard_error": error}
    return {"value": metrics[name] if math.isfinite(metrics[name]) else None, **known}


def _gate(verdict: Verdict) -> dict[str, Any]:
    found = verdict.found if verdict.found is not None and math.isfinite(verdict.found) else None
    gate = {"metric": verdict.metric, "split": verdict.split, "group": verdict.users}
    return {**gate, "wanted": verdict.wanted, "found": found, "passed": verdict.passed}
