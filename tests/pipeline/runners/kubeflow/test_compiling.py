import json
import sys
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from config import Config, ConfigError, load_config
from config.load import changed_config
from pipeline.cli import common, main
from pipeline.runners.kubeflow.compiling import CompileError, compile_pipeline

EXAMPLE = load_config(Path(__file__).parents[4] / "examples" / "movielens-100k.yaml")
CONFIG = changed_config(EXAMPLE, {"data.folder": "gs://b/data", "pipeline.root": "gs://b/runs"})
COMPONENTS = [
    "InteractionExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "Evaluator",
    "InfraValidator",
    "Pusher",
]
RESOLVERS = {"kfp": ["IngestDriver", "BaselineDriver", "BaselineModel"], "vertex": ["latest_blessed_model"]}
REFERENCE = {"kfp": ["ReferenceDriver", "ReferenceStatistics"], "vertex": ["reference_statistics"]}
IMAGE = "registry/recommender:1"


def compiled(folder: Path, config: Config, target: Any = "kfp") -> tuple[PipelineSpec, dict[str, Any]]:
    """Compiles to YAML and parses it; returns the spec and its executors."""
    output = folder / "pipeline.yaml"
    compile_pipeline(config, target, output, IMAGE)
    spec, *_ = yaml.safe_load_all(output.read_text())
    json_format.ParseDict(spec["deploymentSpec"], PipelineDeploymentConfig())
    return json_format.ParseDict(spec, PipelineSpec()), spec["deploymentSpec"]["executors"]


@pytest.mark.parametrize("target", ["kfp", "vertex"])
@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_specification_holds_every_component_with_image_and_root(tmp_path, suffix, target):
    output = tmp_path / "specs" / f"pipeline{suffix}"
    names = compile_pipeline(CONFIG, target, output, image=IMAGE, pipeline_root="gs://bucket/root")
    assert sorted(names) == sorted(COMPONENTS + RESOLVERS[target])
    spec = json_format.ParseDict(yaml.safe_load(output.read_text()), PipelineSpec())
    assert spec.pipeline_info.name == "movielens-100k"
    assert spec.default_pipeline_root == "gs://bucket/root"
    for name in names:
        assert any(task == name or task.startswith(f"{name}-") for task in spec.root.dag.tasks)
    executors = json_format.MessageToDict(spec.deployment_spec)["executors"]
    images = {e["container"]["image"] for e in executors.values() if "container" in e}
    assert images == {IMAGE}
    # TFX's entry point imports TensorFlow first, so no package of ours could still choose Keras 2.
    environments = [e["container"].get("env") for e in executors.values() if "container" in e]
    assert environments == [[{"name": "TF_USE_LEGACY_KERAS", "value": "1"}]] * len(environments)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_open_source_kfp_gets_containers_of_the_version_that_it_executes(tmp_path):
    config = changed_config(CONFIG, {"pipeline.drift": {"threshold": 0.1}})
    spec, executors = compiled(tmp_path, config)
    assert spec.schema_version == "2.1.0"
    assert all(list(executor) == ["container"] for executor in executors.values())
    assert not any("_" in task for task in spec.root.dag.tasks)  # Argo refuses such names
    for task in spec.root.dag.tasks.values():
        sources = [s.task_output_artifact.producer_task for s in task.inputs.artifacts.values()]
        sources += [s.task_output_parameter.producer_task for s in task.inputs.parameters.values()]
        assert {source for source in sources if source} == set(task.dependent_tasks) - {"AnomalyGate"} or not sources
    titles = {
        artifact.artifact_type.schema_title
        for component in spec.components.values()
        for artifact in component.output_definitions.artifacts.values()
    }
    assert titles == {"system.Artifact", "system.Dataset", "system.Model"}
    arguments = executors["Trainer_executor"]["container"]["args"]
    assert json.loads(arguments[arguments.index("--artifact_types") + 1])["outputs"] == {
        "model": "tfx.Model",
        "model_run": "tfx.ModelRun",
    }
    assert kfp.components.load_component_from_file(str(tmp_path / "pipeline.yaml")).name == "movielens-100k"


def test_vertex_gets_resolvers(tmp_path):
    config = changed_config(CONFIG, {"pipeline.drift": {"threshold": 0.1}, "pipeline.skew": {"threshold": 0.1}})
    spec, executors = compiled(tmp_path, config, "vertex")
    tasks = spec.root.dag.tasks
    reference = tasks["DriftValidator"].inputs.artifacts["baseline_statistics"].task_output_artifact
    assert reference.producer_task == "reference_statistics"
    assert {"ExampleValidator", "DriftValidator", "SkewValidator"} <= set(tasks["AnomalyGate"].dependent_tasks)
    assert "AnomalyGate" in tasks["Transform"].dependent_tasks
    assert not tasks["reference_statistics"].dependent_tasks  # or it would find this run's own
    queries = executors["reference_statistics_executor"]["resolver"]["outputArtifactQueries"]
    assert list(queries) == ["reference"]
    assert 'schema_title="tfx.ExampleStatistics"' in queries["reference"]["filter"]
    hook = executors["InteractionExampleGen_executor"]["container"]["lifecycle"]["preCacheCheck"]
    assert "tfx.orchestration.kubeflow.v2.file_based_example_gen.driver" in hook["command"]


@pytest.mark.parametrize("target", ["kfp", "vertex"])
def test_a_search_for_hyperparameters_and_the_export_of_embeddings_are_compiled(tmp_path, target):
    parameters = {"training.optimizer.learning_rate": {"choices": [0.001, 0.01]}}
    config = changed_config(CONFIG, {"tuner": {"parameters": parameters}, "serving.embeddings": True})
    spec, _ = compiled(tmp_path, config, target)
    tasks = spec.root.dag.tasks
    assert tasks["Trainer"].inputs.artifacts["hyperparameters"].task_output_artifact.producer_task == "Tuner"
    assert tasks["EmbeddingExporter"].inputs.artifacts["pushed_model"].task_output_artifact.producer_task == "Pusher"


def test_span_and_push_destination_are_parameters_of_the_run(tmp_path):
    config = changed_config(CONFIG, {"data.interactions.path": "day-{SPAN}/u.data", "data.span": 7})
    spec, _ = compiled(tmp_path, config)
    parameters = spec.root.input_definitions.parameters
    assert {name: parameter.default_value.string_value for name, parameter in parameters.items()} == {
        "span": "7",
        "push_destination": "gs://b/runs/movielens-100k/serving/recommender",
    }
    assert all(parameter.is_optional for parameter in parameters.values())
    tasks = spec.root.dag.tasks
    assert tasks["IngestDriver"].inputs.parameters["span"].component_input_parameter == "span"
    assert tasks["Pusher"].inputs.parameters["push_folder"].component_input_parameter == "push_destination"


KUBERNETES = {
    "cpu": 2,
    "memory": "8Gi",
    "retries": 3,
    "retry_seconds": 30,
    "volumes": [{"claim": "recommender", "path": "/mnt/recommender"}],
    "components": {
        "Trainer": {
            "cpu": 7.5,
            "memory": "20G",
            "accelerator": {"type": "nvidia.com/gpu", "count": 2},
            "node_selector": {"pool": "gpu"},
            "secrets": [{"env": "TOKEN", "secret": "recommender", "key": "token"}],
            "retries": 0,
        }
    },
}


def test_resources_of_pods_are_found_again_by_the_protos_of_kfp(tmp_path):
    output = tmp_path / "pipeline.yaml"
    places = {"data.folder": "/mnt/recommender/data", "pipeline.root": "/mnt/recommender/runs"}
    compile_pipeline(changed_config(EXAMPLE, {**places, "kubernetes": KUBERNETES}), "kfp", output, IMAGE)
    document, platform = yaml.safe_load_all(output.read_text())
    spec = json_format.ParseDict(document, PipelineSpec())
    assert spec.default_pipeline_root == ""  # KFP's own: a volume holds no artifacts
    deployment = json_format.ParseDict(document["deploymentSpec"], PipelineDeploymentConfig())
    resources = deployment.executors["Trainer_executor"].container.resources
    assert (resources.cpu_limit, resources.memory_limit) == (7.5, 20.0)
    assert (resources.resource_cpu_limit, resources.resource_memory_limit) == ("7.5", "20G")
    assert (resources.accelerator.type, resources.accelerator.count) == ("nvidia.com/gpu", 2)
    assert (resources.accelerator.resource_type, resources.accelerator.resource_count) == ("nvidia.com/gpu", "2")
    others = deployment.executors["Transform_executor"].container.resources
    assert (others.cpu_limit, others.resource_memory_limit) == (2.0, "8Gi")
    assert others.memory_limit == pytest.approx(8 * 2**30 / 1e9)
    assert not others.HasField("accelerator")
    tasks = spec.root.dag.tasks
    assert not tasks["Trainer"].HasField("retry_policy")
    policy = tasks["Transform"].retry_policy
    assert (policy.max_retry_count, policy.backoff_duration.seconds, policy.backoff_factor) == (3, 30, 2.0)
    pods = json_format.ParseDict(platform, PlatformSpec()).platforms["kubernetes"].deployment_spec.executors
    assert set(pods) == set(document["deploymentSpec"]["executors"])
    found = [json_format.MessageToDict(pods[f"{name}_executor"]) for name in ("Trainer", "Transform")]
    trainer, other = (json_format.ParseDict(pod, KubernetesExecutorConfig()) for pod in found)
    assert dict(trainer.node_selector.labels) == {"pool": "gpu"}
    (secret,) = trainer.secret_as_env
    assert secret.secret_name == secret.secret_name_parameter.runtime_value.constant.string_value == "recommender"
    assert [(k.secret_key, k.env_var) for k in secret.key_to_env] == [("token", "TOKEN")]
    for pod in (trainer, other):
        (volume,) = pod.pvc_mount
        assert volume.constant == volume.pvc_name_parameter.runtime_value.constant.string_value == "recommender"
        assert volume.mount_path == "/mnt/recommender"
    assert not other.secret_as_env


def test_without_kfp_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kfp", None)
    monkeypatch.setitem(sys.modules, "kfp.pipeline_spec", None)
    with pytest.raises(CompileError, match=r"pip install 'tfx-recommender\[kubeflow\]'"):
        compile_pipeline(CONFIG, "kfp", tmp_path / "spec.yaml")


@pytest.mark.parametrize("target", ["kfp", "vertex"])
def test_several_workers_train_in_a_job_from_a_model_before(tmp_path: Path, target: Any) -> None:
    job = {"kind": "train_job", "image": "registry/recommender:1"}
    base = (
        {"warm_start": {"model": "gs://b/runs/x/artifacts/Trainer/model/7"}} if target == "kfp" else {"warm_start": {}}
    )
    training = {"strategy": "multi_worker", "job": job, **base}
    output = tmp_path / "pipeline.yaml"
    compile_pipeline(changed_config(CONFIG, {"training": training}), target, output, "registry/recommender:1")
    spec = json_format.ParseDict(next(yaml.safe_load_all(output.read_text())), PipelineSpec())
    assert "trainer.chief.run_fn" in output.read_text()
    assert ("base_model" in spec.root.dag.tasks["Trainer"].inputs.artifacts) == (target == "vertex")


LOCAL = {"data.folder": "data", "pipeline.root": "runs"}
VOLUME = {"kubernetes.volumes": [{"claim": "c", "path": "/mnt/c"}]}


@pytest.mark.parametrize(
    ("target", "changes", "name", "message"),
    [
        ("kfp", {}, "spec.txt", r"`--output` should end with \.yaml, \.yml or \.json\. Received: .*spec\.txt"),
        ("kfp", {"training.strategy": "multi_worker"}, "a.yaml", r"`training\.job` should say in which job .* none"),
        ("vertex", {"training.strategy": "parameter_server"}, "a.yaml", "needs servers, and a component is one pod"),
        ("kfp", {"training.warm_start": {}}, "a.yaml", r"`training\.warm_start\.model` should be a folder: on KFP"),
        (
            "kfp",
            {"serving.folder": "/models"},
            "a.yaml",
            r"`serving.folder` should be .*`kubernetes.volumes`.*'/models'",
        ),
        ("kfp", {**LOCAL, **VOLUME}, "a.yaml", r"`data.folder` should .*now: /mnt/c\).*'data'\n`pipeline.root` should"),
        ("kfp", {"pipeline.root": "/mnt/cc", **VOLUME}, "a.yaml", r"`pipeline.root` should .*Received: '/mnt/cc'"),
        ("kfp", {"pipeline.beam": "multi_processing", **LOCAL}, "a.yaml", "`data.folder` should"),
        (
            "kfp",
            {"pipeline.beam": {"runner": "portable", "endpoint": "h:1", "worker_pool": "h:2"}},
            "a.yaml",
            r"`pipeline.beam` should be local or multi_processing: .*`--target vertex`.*'portable'",
        ),
        ("kfp", VOLUME, "a.json", r"`--output` should end with \.yaml: .*second document"),
        ("kfp", {"kubernetes.components": {"Tuner": {"cpu": 1}}}, "a.yaml", r"names Tuner, which this pipeline lacks"),
        ("vertex", {"serving.folder": "/models"}, "a.yaml", r"`serving.folder` should be a gs:// URI, or in /gcs/"),
        ("vertex", VOLUME, "a.yaml", r"`kubernetes.volumes` is of `--target kfp`"),
        (
            "vertex",
            {"kubernetes.components": {"Trainer": {"node_selector": {"a": "b"}}}},
            "a.yaml",
            r"`kubernetes.components.Trainer.node_selector` is of `--target kfp`",
        ),
    ],
)
def test_what_cannot_run_there_is_refused(tmp_path, target, changes, name, message):
    with pytest.raises(ConfigError, match=message):
        compile_pipeline(changed_config(CONFIG, changes), target, tmp_path / name, IMAGE)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("target", ["kfp", "vertex"])
def test_artifacts_are_kept_on_an_object_store(tmp_path, target):
    with pytest.raises(ConfigError, match=r"`--pipeline-root` should .*Received: '/mnt'"):
        compile_pipeline(CONFIG, target, tmp_path / "spec.yaml", IMAGE, "/mnt")


@pytest.mark.parametrize(
    ("target", "changes"),
    [("vertex", {"serving.folder": "/gcs/b/models"}), ("kfp", {"serving.folder": "/mnt/c/models", **VOLUME})],
)
def test_mounted_folders_are_accepted(tmp_path, target, changes):
    assert compile_pipeline(changed_config(CONFIG, changes), target, tmp_path / "spec.yaml", IMAGE)


def test_a_folder_that_pods_would_not_share_ends_the_command_with_2(tmp_path, capfd):
    (tmp_path / "shop.yaml").write_text("name: shop\ndata: {folder: data, interactions: {path: events.csv}}\n")
    output = tmp_path / "pipeline.yaml"
    assert main(["compile", "--config", str(tmp_path / "shop.yaml"), "--output", str(output)]) == common.USAGE
    assert "error: `data.folder` should be on an object store or in a volume of `kubernetes" in capfd.readouterr().err
    assert not output.exists()
