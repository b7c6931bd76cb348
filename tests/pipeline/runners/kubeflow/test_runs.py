"""Three runs of a compiled pipeline as open-source Kubeflow Pipelines executes it (`interpreter.py`)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config import parse_config
from config.load import changed_config
from pipeline.evaluation.results import blessing_reasons
from pipeline.runners.kubeflow.compiling import compile_pipeline
from tests.pipeline.runners.kubeflow.interpreter import Cluster, Task
from tests.pipeline.runners.kubeflow.processes import Processes
from tests.synthetic import write_tables

CONFIG = """
name: tiny
data: {{folder: {volume}/data, interactions: {{path: interactions.csv}}}}
split: {{method: leave_last_out, history: rolling}}
features: {{context: [{{name: device, kind: categorical}}], trend: {{days: []}}}}
model: {{dimension: 16, neighbours: null, history: {{max_events: 8, encoder: decay}}}}
training:
  {{epochs: 20, batch_size: 8, hide: null, early_stopping: null, optimizer: {{learning_rate: 0.02, warmup_steps: 5}}}}
evaluation: {{ks: [10], requests: 0, splits: [eval], gates: [{{metric: ndcg@10, max_regression: 0.01}}]}}
serving: {{infra: {{requests: 4, latency_requests: 2}}}}
pipeline: {{root: {volume}/runs, drift: {{features: {{context_device: 0.3}}}}}}
kubernetes: {{volumes: [{{claim: recommender, path: {volume}}}]}}
"""
DRIVERS = {"IngestDriver", "BaselineDriver", "ReferenceDriver"}


@dataclass(frozen=True)
class Runs:
    """The finished tasks of each run, and the volume."""

    first: dict[str, Task]
    again: dict[str, Task]
    changed: dict[str, Task]
    worse: dict[str, Task]
    volume: Path
    cluster: Cluster

    @property
    def serving(self) -> Path:
        return self.volume / "runs" / "tiny" / "serving" / "recommender"

    def pushed(self) -> list[str]:
        return [path.name for path in self.serving.glob("[0-9]*")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("kfp")
    volume = folder / "volume"
    write_tables(volume / "data", users=60, items=100, events=1200)
    config = parse_config(CONFIG.format(volume=volume))
    spec, worse = folder / "pipeline.yaml", folder / "worse.yaml"
    compile_pipeline(config, "kfp", spec, "registry/recommender:1")
    harm = {"training.epochs": 1, "training.optimizer.learning_rate": 1e-6}
    compile_pipeline(changed_config(config, harm), "kfp", worse, "registry/recommender:1")
    with Processes({"TF_USE_LEGACY_KERAS": "1"}) as processes:
        cluster = Cluster(folder, processes)
        first = cluster.run(spec, fresh_process="IngestDriver")
        again = cluster.run(spec)
        table = volume / "data" / "interactions.csv"
        content, times = table.read_bytes(), os.stat(table)
        table.write_bytes(content.replace(b",desktop", b",tv").replace(b",phone", b",tv"))
        changed = cluster.run(spec)
        table.write_bytes(content)
        os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
        yield Runs(first, again, changed, cluster.run(worse), volume, cluster)


def states(run: dict[str, Task], state: str) -> set[str]:
    return {name for name, task in run.items() if task.state == state}


def test_a_first_run_goes_from_files_to_a_pushed_model(runs: Runs) -> None:
    assert states(runs.first, "done") == set(runs.first)
    assert {"DriftValidator", "Evaluator", "Pusher"} < set(runs.first)
    (version,) = runs.pushed()
    pushed = runs.first["Pusher"].artifacts["pushed_model"].metadata
    assert (pushed["pushed"], pushed["pushed_version"]) == (1, version)
    assert (runs.serving / version / "saved_model.pb").exists()
    assert runs.first["InteractionExampleGen"].artifacts["examples"].metadata["split_names"] == (
        '["train", "eval", "test", "items"]'
    )


def test_an_unchanged_run_looks_for_changes_and_does_nothing_else(runs: Runs) -> None:
    assert states(runs.again, "done") == DRIVERS
    assert states(runs.again, "cached") == set(runs.first) - DRIVERS


def test_changed_files_under_the_same_path_are_ingested_and_compared_with_the_pushed_run(runs: Runs) -> None:
    assert {"InteractionExampleGen", "StatisticsGen", "ReferenceStatistics"} < states(runs.changed, "done")
    assert states(runs.changed, "failed") == {"AnomalyGate"}
    assert "`context_device`: L-infinity distance" in runs.changed["AnomalyGate"].log.read_text()


def test_a_worse_model_is_stopped_by_its_regression(runs: Runs) -> None:
    assert {"InteractionExampleGen", "Transform"} < states(runs.worse, "cached")
    assert {"Trainer", "BaselineModel", "Evaluator"} < states(runs.worse, "done")
    evaluation = runs.worse["Evaluator"].artifacts
    assert evaluation["blessing"].metadata["blessed"] == 0
    reasons = blessing_reasons(str(runs.cluster.files(evaluation["evaluation"])))
    wanted = "ndcg@10 on eval (warm users): wanted a change of at least -0.01 to the latest blessed model, found -0."
    assert any(reason.startswith(wanted) for reason in reasons), reasons
    assert runs.worse["Pusher"].artifacts["pushed_model"].metadata["pushed"] == 0
    assert len(runs.pushed()) == 1
