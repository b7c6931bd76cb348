import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from config import load_config
from config.load import changed_config
from pipeline.runners.kubeflow import CompileError, compile_pipeline, local_paths

CONFIG = load_config(Path(__file__).parents[3] / "examples" / "movielens-100k.yaml")
COMPONENTS = [
    "InteractionExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "latest_blessed_model",
    "Evaluator",
    "InfraValidator",
    "Pusher",
]


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_specification_holds_every_component_with_image_and_root(tmp_path, suffix):
    output = tmp_path / "specs" / f"pipeline{suffix}"
    names = compile_pipeline(CONFIG, output, image="registry/recommender:1", pipeline_root="gs://bucket/root")
    assert sorted(names) == sorted(COMPONENTS)
    spec = json_format.ParseDict(yaml.safe_load(output.read_text()), PipelineSpec())
    assert spec.pipeline_info.name == "movielens-100k"
    assert spec.default_pipeline_root == "gs://bucket/root"
    tasks = set(spec.root.dag.tasks)
    for name in COMPONENTS:
        assert any(task == name or task.startswith(f"{name}-") for task in tasks)
    executors = json_format.MessageToDict(spec.deployment_spec)["executors"]
    images = {e["container"]["image"] for e in executors.values() if "container" in e}
    assert images == {"registry/recommender:1"}
    # TFX's entry point imports TensorFlow first, so no package of ours could still choose Keras 2.
    environments = [e["container"].get("env") for e in executors.values() if "container" in e]
    assert environments == [[{"name": "TF_USE_LEGACY_KERAS", "value": "1"}]] * len(environments)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_a_search_for_hyperparameters_and_the_export_of_embeddings_are_compiled(tmp_path):
    parameters = {"training.optimizer.learning_rate": {"choices": [0.001, 0.01]}}
    config = changed_config(CONFIG, {"tuner": {"parameters": parameters}, "serving.embeddings": True})
    output = tmp_path / "pipeline.yaml"
    names = compile_pipeline(config, output, image="registry/recommender:1", pipeline_root="gs://bucket/root")
    assert sorted(names) == sorted([*COMPONENTS, "Tuner", "EmbeddingExporter"])
    spec = json_format.ParseDict(yaml.safe_load(output.read_text()), PipelineSpec())
    inputs = spec.root.dag.tasks["Trainer"].inputs.artifacts["hyperparameters"]
    assert inputs.task_output_artifact.producer_task == "Tuner"
    pushed = spec.root.dag.tasks["EmbeddingExporter"].inputs.artifacts["pushed_model"]
    assert pushed.task_output_artifact.producer_task == "Pusher"


def test_drift_is_compared_with_the_newest_earlier_statistics(tmp_path):
    config = changed_config(CONFIG, {"pipeline.drift": {"threshold": 0.1}, "pipeline.skew": {"threshold": 0.1}})
    output = tmp_path / "pipeline.yaml"
    names = compile_pipeline(config, output, image="registry/recommender:1", pipeline_root="gs://bucket/root")
    assert sorted(names) == sorted([*COMPONENTS, "reference_statistics", "DriftValidator", "SkewValidator"])
    spec = json_format.ParseDict(yaml.safe_load(output.read_text()), PipelineSpec())
    tasks = spec.root.dag.tasks
    reference = tasks["DriftValidator"].inputs.artifacts["baseline_statistics"].task_output_artifact
    assert reference.producer_task == "reference_statistics"
    assert {"ExampleValidator", "DriftValidator", "SkewValidator"} <= set(tasks["AnomalyGate"].dependent_tasks)
    assert "AnomalyGate" in tasks["Transform"].dependent_tasks
    assert not tasks["reference_statistics"].dependent_tasks  # or it would find this run's own
    executors = json_format.MessageToDict(spec.deployment_spec)["executors"]
    queries = executors["reference_statistics_executor"]["resolver"]["outputArtifactQueries"]
    assert list(queries) == ["reference"]
    assert 'schema_title="tfx.ExampleStatistics"' in queries["reference"]["filter"]


def test_without_kfp_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kfp", None)
    monkeypatch.setitem(sys.modules, "kfp.pipeline_spec", None)
    with pytest.raises(CompileError, match=r"pip install 'tfx-recommender\[kubeflow\]'"):
        compile_pipeline(CONFIG, tmp_path / "spec.yaml")


def test_other_extension_is_refused(tmp_path):
    with pytest.raises(CompileError, match=r"should end with \.yaml, \.yml or \.json\. Received: .*spec\.txt"):
        compile_pipeline(CONFIG, tmp_path / "spec.txt")


def test_several_workers_train_in_a_job(tmp_path):
    config = changed_config(CONFIG, {"training.strategy": "multi_worker"})
    with pytest.raises(CompileError, match=r"`training\.job` should say in which job several workers train, .* none"):
        compile_pipeline(config, tmp_path / "spec.yaml")
    job = {"kind": "train_job", "image": "registry/recommender:1"}
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(changed_config(config, {"training.job": job}), output, "registry/recommender:1", "gs://b/root")
    spec = json_format.ParseDict(yaml.safe_load(output.read_text()), PipelineSpec())
    assert "run_fn" in spec.root.dag.tasks["Trainer"].inputs.parameters
    assert "trainer.chief.run_fn" in output.read_text()


def test_local_paths_are_named():
    assert local_paths(CONFIG, "gs://b/r") == ["data.folder = data/movielens-100k", "pipeline.root = runs"]
    remote = changed_config(CONFIG, {"data.folder": "gs://b/data", "pipeline.root": "gs://b/runs"})
    assert local_paths(remote, None) == []
    assert local_paths(remote, "root") == ["--pipeline-root = root"]
    mounted = {
        "pipeline.schema_file": "schema.pbtxt",
        "training.distillation.teacher": "teacher",
        "serving.folder": "/models",
    }
    assert local_paths(changed_config(remote, mounted), None) == [f"{key} = {path}" for key, path in mounted.items()]
    elsewhere = {key: f"gs://b/{key}" for key in mounted}
    assert local_paths(changed_config(remote, elsewhere), None) == []
