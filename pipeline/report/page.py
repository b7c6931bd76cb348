"""The report: a run's results as one HTML file with its plots inside."""

import json
import platform
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from config import Config, dump_config
from config.fingerprint import code_fingerprint
from pipeline.evaluation.results import Verdict, blessing_reasons, metric_text, read_metrics, read_verdicts
from pipeline.ingest.report import TABLES, describe
from pipeline.messages import label
from pipeline.report import plots, tables
from pipeline.report.plots import Curve, read_curves
from pipeline.report.templates import template
from pipeline.validation.distances import read_comparisons
from trainer.metrics.names import EXAMPLES, USERS, main_metric

_PACKAGES = (
    "tensorflow",
    "tensorflow-recommenders",
    "tfx",
    "tensorflow-transform",
    "tensorflow-model-analysis",
    "apache-beam",
)
_MAX_SLICES = 40
"""More slices than this are in the table only."""
_LONGEST = 200
"""Characters of a slice's name in the table."""


@dataclass(frozen=True)
class Artifacts:
    """The folders of a run's artifacts; a missing one is left out of the page."""

    examples: str | None = None
    """With `ingest.json`."""
    model_run: str | None = None
    """With `training.json` and the event files."""
    evaluation: str | None = None
    distances: str | None = None
    """With `distances.json`."""


@dataclass(frozen=True)
class Component:
    """A component of the run: its state, its main metric, and the folders of its outputs."""

    name: str
    state: str
    metric: str = ""
    uris: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def write_report(
    path: str | Path,
    config: Config,
    artifacts: Artifacts,
    components: Sequence[Component] = (),
    verdict: str = "",
    digest: str = "",
) -> None:
    """Writes a run's report.

    Args:
      path: The HTML file; its folder exists.
      config: The configuration that ran.
      artifacts: The folders of the results, on a local file system or (but for `ingest.json`) an object store.
      components: In the order in which they ran.
      verdict: The outcome for the model, in a sentence.
      digest: Of the run; see `pipeline.report.run`.

    Raises:
      OSError: the file cannot be written, or an artifact lacks its file.
    """
    page = template("pipeline.report").render(
        name=config.name,
        digest=digest,
        verdict=verdict,
        components=components,
        **_evaluation(config, artifacts.evaluation),
        **_training(artifacts.model_run),
        ingest=_ingest(artifacts.examples),
        distances=read_comparisons(artifacts.distances) if artifacts.distances else [],
        versions=_versions(),
        config=yaml.safe_dump(json.loads(dump_config(config)), sort_keys=False, allow_unicode=True),
    )
    Path(path).write_text(page, encoding="utf-8")


def _evaluation(config: Config, uri: str | None) -> dict[str, Any]:
    if uri is None:
        return {"bars": None, "slices": None, "headline": {}, "gates": [], "reasons": [], "metrics": {}, "requests": {}}
    metrics = tables.by_slice(read_metrics(uri))
    headline = _headlines(metrics)
    metric, split = main_metric(config)
    return {
        "bars": _bars(headline),
        "slices": _slices(metrics, metric, split),
        "headline": {name: tables.headline_rows(values) for name, values in headline.items()},
        "gates": _gates(read_verdicts(uri)),
        "reasons": blessing_reasons(uri),
        "metrics": _slice_rows(metrics, metric),
        "requests": {name: found for name, v in headline.items() if (found := tables.request_table(v)).rows},
    }


def _headlines(metrics: tables.Slices) -> dict[str, tables.Values]:
    """Returns the metrics of each split's warm users (all where none is warm), named by split and number of users."""
    headlines = {}
    for split in sorted({split for split, _ in metrics}):
        group = "warm" if (split, "warm") in metrics else "all"
        values = metrics[split, group]
        counted = f"{group} users" if USERS in values else f"examples of {group} users"
        headlines[f"{split}, {_count(values)} {counted}"] = values
    return headlines


def _bars(headline: Mapping[str, tables.Values]) -> Markup | None:
    """Draws bars of the metrics between 0 and 1; novelty is in bits."""
    panels = {
        split: [tables.pair(name, name, values) for name in tables.compared(values) if not name.startswith("novelty")]
        for split, values in headline.items()
    }
    return Markup(plots.bars(panels)) if any(panels.values()) else None


def _slices(metrics: tables.Slices, metric: str, split: str) -> Markup | None:
    pairs = [
        tables.pair(f"{name} ({_count(values)})", metric, values)
        for (of_split, name), values in metrics.items()
        if of_split == split and metric in values
    ]
    return Markup(plots.slices(f"{metric} on {split}", pairs)) if 1 < len(pairs) <= _MAX_SLICES else None


def _slice_rows(metrics: tables.Slices, metric: str) -> dict[str, list[tuple[str, str, tables.Row]]]:
    """Returns by split the slices, their numbers of users, and the metric there."""
    rows: dict[str, list[tuple[str, str, tables.Row]]] = {}
    for (split, name), values in metrics.items():
        row = next((row for row in tables.headline_rows(values) if row.metric == metric), None)
        if row is not None:
            rows.setdefault(split, []).append((label(name, _LONGEST), _count(values), row))
    return rows


def _count(values: tables.Values) -> str:
    """Returns the number of users, or of examples where only ranking tasks were measured."""
    return f"{values.get(USERS, values[EXAMPLES]):,.0f}"


def _gates(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {
            "metric": f"{verdict.metric} on {verdict.split}, {verdict.users} users",
            "wanted": verdict.wanted,
            "found": "nothing" if verdict.found is None else metric_text(verdict.found, ".4f"),
            "passed": verdict.passed,
        }
        for verdict in verdicts
    ]


def _training(uri: str | None) -> dict[str, Any]:
    if uri is None:
        return {"training": None, "curves": None}
    result = json.loads((Path(uri) / "training.json").read_text(encoding="utf-8"))
    panels = _panels(read_curves(uri))
    return {"training": result, "curves": Markup(plots.curves(panels)) if panels else None}


def _panels(curves: Mapping[str, Mapping[str, Curve]]) -> dict[str, dict[str, Curve]]:
    """Groups curves of one scale into a panel; gates are too many for one."""
    panels: dict[str, dict[str, Curve]] = {}
    for part, metrics in curves.items():
        for name, curve in metrics.items():
            if not name.startswith(("learning_rate", "gate/")):
                panels.setdefault(f"{part}: {_family(part, name)}", {})[name] = curve
    return panels


def _family(part: str, name: str) -> str:
    if name.startswith("weight/"):
        return "weights of the losses"
    if name.startswith("gradient_cosine/"):
        return "cosines of gradients"
    if name.startswith("generator/"):
        return "generator and critic"
    if name == "sparsity":
        return "share of zeros in the kernels"
    if part == "train" or "loss" in name:
        return "losses"
    return "ranking tasks" if "/" in name else "retrieval"


def _ingest(uri: str | None) -> dict[str, Any]:
    """Returns `sections`, the counts of tables and splits as lines, and `bad`, samples of bad rows as sentences."""
    if uri is None:
        return {}
    report = json.loads(Path(posixpath.join(uri, "ingest.json")).read_text(encoding="utf-8"))
    sections = {name: tables.leaves(report[name]) for name in (*TABLES, "overlap", "splits") if name in report}
    bad: dict[str, list[str]] = {}
    for sample in report.get("samples", ()):
        bad.setdefault(f"{sample['table']}: {sample['reason']}", []).append(describe(sample))
    return {"sections": sections, "bad": bad}


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in _PACKAGES}
    code = code_fingerprint("pipeline", "transform", "trainer", "serving")
    return {"python": platform.python_version(), **found, "code (SHA-256 of its files)": code}
