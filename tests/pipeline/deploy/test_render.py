import posixpath

import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from config import load_config
from config.fingerprint import ROOT
from config.load import changed_config
from pipeline.deploy.places import deployment_problems
from pipeline.deploy.render import render
from tests.trainer.cluster_jobs.cluster import parsed

EXAMPLE = "examples/movielens-100k.yaml"
CONFIG = load_config(ROOT / EXAMPLE)
KUBERNETES = "1.33"
"""The version of the schemas."""
STORAGE = {"claim": "recommender", "path": "/recommender"}
JOB = {"kind": "train_job", "image": "shop:1", "storage": STORAGE, "workers": 3, "resources": {"gpus": 1}}
SEVERAL = {"training.strategy": "multi_worker"}
CHANGES = {
    "defaults": {},
    "a submitted TrainJob": SEVERAL | {"training.job": JOB},
    "a submitted TrainJob that names no storage": SEVERAL | {"training.job": {"kind": "train_job", "image": "shop:1"}},
    "a submitted TFJob": SEVERAL | {"training.job": JOB | {"kind": "tf_job"}},
    "an object store": {
        "serving.folder": "gs://bucket/models",
        "data.folder": "s3://bucket/data",
        "deploy.env_secret": "bucket",
        "deploy.serving": {"batching": None},
        "deploy.storage": {"access": "ReadWriteOnce", "storage_class": "standard"},
    },
}


def rendered(folder, changes):
    """The manifests by kind, of every file."""
    config = changed_config(CONFIG, changes)
    assert list(deployment_problems(config)) == []
    files = render(config, EXAMPLE, folder, ROOT)
    found = [part for file in files if file.suffix == ".yaml" for part in yaml.safe_load_all(file.read_text())]
    by_kind = {part["kind"]: part for part in found}
    assert len(by_kind) == len(found)
    return by_kind


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_every_manifest_is_valid(tmp_path, changes):
    found = rendered(tmp_path, changes)
    kubeflow = {"TrainJob", "TFJob", "TrainingRuntime"}
    for kind, manifest in found.items():
        if kind in kubeflow:
            parsed(manifest)
        else:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        assert kind == "Namespace" or manifest["metadata"]["namespace"] == "recommender"
    built_in = {"Namespace", "PersistentVolumeClaim", "ServiceAccount", "CronJob", "ConfigMap", "Deployment"}
    built_in |= {"Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    rights = {"Role", "RoleBinding"} if "training.job" in changes else set()
    assert set(found) == kubeflow | built_in | rights


def test_a_field_that_kubernetes_does_not_know_is_seen(tmp_path):
    service = rendered(tmp_path, {})["Service"]
    service["spec"]["port"] = 8500
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("changes", "folder"),
    [
        ({}, "/recommender/runs/movielens-100k/serving/recommender"),
        ({"pipeline.root": "/recommender/all"}, "/recommender/all/movielens-100k/serving/recommender"),
        (CHANGES["an object store"], "gs://bucket/models"),
    ],
)
def test_servers_load_what_runs_push(tmp_path, changes, folder):
    found = rendered(tmp_path, changes)
    models = text_format.Parse(found["ConfigMap"]["data"]["models.config"], ModelServerConfig())
    (model,) = models.model_config_list.config
    assert (model.name, model.base_path) == ("recommender", folder)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert ("storage" in mounts) == folder.startswith("/")
    assert mounts.get("storage", {"readOnly": True})["readOnly"]
    flags = dict(flag.removeprefix("--").split("=") for flag in container["args"])
    files = {posixpath.basename(path) for name, path in flags.items() if name.endswith("_file")}
    assert files == set(found["ConfigMap"]["data"])


def test_a_pod_serves_once_its_model_is_loaded(tmp_path):
    found = rendered(tmp_path, {"deploy.serving": {"load_minutes": 5}})["Deployment"]["spec"]
    (container,) = found["template"]["spec"]["containers"]
    probe = {"path": "/v1/models/recommender/metadata", "port": "rest"}
    assert container["readinessProbe"]["httpGet"] == container["startupProbe"]["httpGet"] == probe
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 300
    assert {"name": "rest", "containerPort": 8501} in container["ports"]
    assert found["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_selectors_find_their_pods(tmp_path):
    found = rendered(tmp_path, {})
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]


def test_the_run_may_submit_its_job_and_nothing_else(tmp_path):
    found = rendered(tmp_path, CHANGES["a submitted TrainJob"])
    rules = {(rule["apiGroups"][0], rule["resources"][0]): rule["verbs"] for rule in found["Role"]["rules"]}
    assert rules == {
        ("trainer.kubeflow.org", "trainjobs"): ["create", "get", "list", "delete"],
        ("", "pods"): ["get", "list"],
        ("", "pods/log"): ["get"],
        ("trainer.kubeflow.org", "trainingruntimes"): ["get"],
    }
    run = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert run["serviceAccountName"] == found["RoleBinding"]["subjects"][0]["name"]
    assert run["containers"][0]["image"] == "shop:1"
    assert found["TrainingRuntime"]["metadata"]["name"] == "tfx-recommender"
    assert found["TrainJob"]["spec"]["trainer"]["numNodes"] == 3
    assert not rendered(tmp_path, {})["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "automountServiceAccountToken"
    ]


def test_rendering_again_writes_the_same(tmp_path):
    rendered(tmp_path, {})
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    rendered(tmp_path, {})
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "location", "message"),
    [
        ({"pipeline.root": "/data/runs"}, "pipeline.root", "should be relative, or below `deploy.storage.path`"),
        ({"pipeline.root": "gs://bucket/runs"}, "pipeline.root", "should be a path on the volume, where the daily run"),
        ({"data.folder": "../data"}, "data.folder", "the volume that all pods mount, or a URI. Received: '../data'"),
        ({"serving.max_rows": 64, "deploy.serving": {"batching": {"max_batch_size": 65}}},
         "deploy.serving.batching.max_batch_size", "should be at most `serving.max_rows` (64). Received: 65"),
        ({"deploy.image": "a:1", "training.job": JOB}, "training.job.image", "should be `deploy.image` (a:1)"),
        ({"training.job": JOB | {"namespace": "ml"}}, "training.job.namespace", "should be left out or be"),
        ({"training.job": JOB | {"storage": {"path": "/other"}}}, "training.job.storage.path",
         "should be `deploy.storage.path` (/recommender). Received: '/other'"),
    ],
)  # fmt: skip
def test_what_cannot_be_deployed_is_said(changes, location, message):
    (problem,) = deployment_problems(changed_config(CONFIG, SEVERAL | changes))
    assert ".".join(problem[0]) == location
    assert message in problem[1]
