import pytest

from config.cluster_jobs import TfJobConfig, TrainJobConfig
from tests.trainer.cluster_jobs.cluster import parsed
from trainer.cluster_jobs.manifests import RETRY, tf_job, train_job, training_runtime

ALL = {
    "image": "shop:1",
    "namespace": "ml",
    "workers": 3,
    "storage": {"claim": "shop", "path": "/shop"},
    "env_secret": "bucket",
    "resources": {"cpu": "500m", "memory": "8Gi", "gpus": 2},
}
COMMAND = ("python", "-m", "trainer.job_process", "/shop/job.json")


@pytest.mark.parametrize("settings", [{"image": "shop:1"}, ALL])
def test_kubeflows_models_know_every_field(settings):
    job = TrainJobConfig(kind="train_job", **settings)
    for manifest in (train_job(job, "shop-1", COMMAND), training_runtime(job)):
        assert parsed(manifest) == manifest
    parsed(tf_job(TfJobConfig(kind="tf_job", **settings), "shop-1", COMMAND))


def test_an_unknown_field_is_seen():
    job = train_job(TrainJobConfig(kind="train_job", image="shop:1"), "shop-1", COMMAND)
    job["spec"]["trainer"]["nodes"] = 2
    with pytest.raises(ValueError, match="unknown fields"):
        parsed(job)


def test_all_nodes_of_a_train_job_know_each_other():
    spec = train_job(TrainJobConfig(kind="train_job", **ALL), "shop-1", COMMAND)["spec"]["trainer"]
    assert spec["numNodes"] == 3
    hosts = ",".join(f"shop-1-node-0-{index}.shop-1:2222" for index in range(3))
    assert spec["env"] == [{"name": "CLUSTER_HOSTS", "value": hosts}]
    assert (spec["command"], spec["args"]) == (["python"], ["-m", "trainer.job_process", "/shop/job.json"])
    assert spec["resourcesPerNode"] == {
        "requests": {"cpu": "500m", "memory": "8Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"},
    }


def test_a_lost_worker_starts_again_and_an_own_error_ends_the_job():
    (node,) = training_runtime(TrainJobConfig(kind="train_job", **ALL))["spec"]["template"]["spec"]["replicatedJobs"]
    fail, ignore = node["template"]["spec"]["podFailurePolicy"]["rules"]
    assert fail["onExitCodes"]["values"] == [1, 2, 3]
    assert ignore["onPodConditions"][0]["type"] == "DisruptionTarget"
    pod = node["template"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # or the failed pod's log would be gone
    assert RETRY > 127  # what a TFJob's restart policy `ExitCode` starts again


def test_no_pod_is_privileged_and_all_mount_the_storage():
    job = tf_job(TfJobConfig(kind="tf_job", **ALL), "shop-1", COMMAND)
    pod = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "tensorflow"  # the one that gets TF_CONFIG
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {"name": "storage", "mountPath": "/shop"} in container["volumeMounts"]
    assert {"name": "storage", "persistentVolumeClaim": {"claimName": "shop"}} in pod["volumes"]
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]
