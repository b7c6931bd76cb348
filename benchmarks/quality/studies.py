"""The studies of `studies.yaml`: configurations that differ in a few values, compared by a few metrics."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from config import Config, parse_config
from config.local_cluster import LocalCluster
from trainer.metrics.request_forms import WORDS, of_form

STUDIES: Final = Path(__file__).with_name("studies.yaml")
ROOT: Final = "runs/quality"
"""Where the pipelines of all studies live: their ingest and their Transform are shared through TFX's cache."""
SERVERS: Final = LocalCluster({"chief": 1, "worker": 2, "ps": 2})
"""What trains a variant with the strategy `parameter_server`."""

Changes = Mapping[str, Any]
"""Values by dotted key; None takes the key away."""


@dataclass(frozen=True)
class Study:
    """A table of the benchmark.

    Attributes:
      title: What is compared.
      config: The configuration that all variants start from.
      metrics: Of the test split, as gates name them.
      variants: Their changes to the configuration, by name.
      base: The changes that all variants share; a variant's own come after them.
      peers: What the peers may know that are compared with the variants on the same split; none where it is empty.
      by_request: Whether each variant has a row for every form in which services ask, not one for the whole request.
    """

    title: str
    config: str
    metrics: tuple[str, ...]
    variants: Mapping[str, Changes]
    base: Changes = field(default_factory=dict)
    peers: Sequence[str] = ()
    by_request: bool = False

    def rows(self, variant: str) -> dict[str, list[str]]:
        """The table's rows of a variant: by their titles, the metrics."""
        if not self.by_request:
            return {variant: list(self.metrics)}
        return {f"{variant}: {words}": [of_form(form, m) for m in self.metrics] for form, words in WORDS.items()}

    def configuration(self, variant: str, seed: int) -> Config:
        """The configuration of one training.

        Raises:
          ConfigError: A change is not allowed.
        """
        values = yaml.safe_load(Path(self.config).read_text())
        changes = {**self.base, **self.variants[variant], "training.seed": seed, "pipeline.root": ROOT}
        for key, value in changes.items():
            _change(values, key.split("."), value)
        return parse_config(yaml.safe_dump(values), f"{self.config} as {variant!r}")


def read_studies(path: Path = STUDIES) -> dict[str, Study]:
    """The studies by name."""
    studies = yaml.safe_load(path.read_text())
    return {name: Study(**values | {"metrics": tuple(values["metrics"])}) for name, values in studies.items()}


def _change(values: dict[str, Any], key: list[str], value: Any) -> None:
    *path, last = key
    for part in path:
        values = values.setdefault(part, {})
    if value is None:
        values.pop(last, None)
    else:
        values[last] = value


def main(study: str, variant: str, seed: str, output: str) -> int:
    """Runs the pipeline and writes the test metrics, the Trainer's result and where the split lies, as JSON."""
    from pipeline.runners.local import run_local

    config = read_studies()[study].configuration(variant, int(seed))
    has_servers = config.training.strategy == "parameter_server"
    with SERVERS.announced(os.environ) if has_servers else nullcontext():
        outcome = run_local(config)
    if outcome.failed:
        print(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}", file=sys.stderr)
        return 1
    from pipeline.evaluation.results import headline, read_metrics

    wanted = (("Evaluator", "evaluation"), ("Trainer", "model_run"), ("InteractionExampleGen", "examples"))
    evaluation, run, examples = (outcome.outputs[component][key][0].uri for component, key in wanted)
    training = json.loads(Path(run, "training.json").read_text())
    metrics = {split: headline(evaluation, split) for split in config.evaluation.splits}
    slices: dict[str, dict[str, float]] = {}
    for metric in read_metrics(evaluation):
        if metric.split == "test":
            slices.setdefault(metric.slice, {})[metric.metric] = metric.value
    result = {"metrics": metrics, "slices": slices, "training": training, "verdict": outcome.verdict}
    result["examples"] = examples
    Path(output).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
