"""The manifests of Kubeflow's jobs: TrainJob with its TrainingRuntime, and TFJob."""

from collections.abc import Sequence
from typing import Any, Final

from config.cluster_jobs import KubernetesJobConfig, TfJobConfig, TrainJobConfig
from config.pod_cluster import HOSTS
from trainer.cluster_jobs.pods import container, pod_spec, resources

RETRY: Final = 138
"""The exit code of a worker that ended because another had: TFJob starts a pod again after a code above 127, as none of
Python's own errors has."""
TRAINER_GROUP: Final = ("trainer.kubeflow.org", "v1alpha1", "trainjobs")
TF_GROUP: Final = ("kubeflow.org", "v1", "tfjobs")
"""Group, version and plural name of the kinds."""
RUNTIMES: Final = "trainingruntimes"
"""The plural name of TrainingRuntime, in the group of TrainJob."""
_NODE: Final = "node"
"""The replicated job and the container that Kubeflow Trainer fills in; pods are named after the former."""
_TF_CONTAINER: Final = "tensorflow"
"""The container that the training operator gives `TF_CONFIG`."""
CONTAINERS: Final = {"TrainJob": _NODE, "TFJob": _TF_CONTAINER}
"""By kind, the container of a worker."""
_OWN_ERRORS: Final = (1, 2, 3)
"""The exit codes of an error that would come again, and of a run whose model was not blessed."""
_RESTARTS: Final = 10

Manifest = dict[str, Any]


def train_job(job: TrainJobConfig, name: str, command: Sequence[str]) -> Manifest:
    """Returns a TrainJob, all of whose workers run one command.

    Args:
        job: The settings.
        name: Of at most 52 characters, since pods are named after it.
        command: The program and its arguments.
    """
    hosts = ",".join(f"{name}-{_NODE}-0-{index}.{name}:{job.port}" for index in range(job.workers))
    group, version, _ = TRAINER_GROUP
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "TrainJob",
        "metadata": _metadata(job, name),
        "spec": {
            "runtimeRef": {"apiGroup": group, "kind": "TrainingRuntime", "name": job.runtime},
            "trainer": {
                "image": job.image,
                "command": [command[0]],
                "args": [*command[1:]],
                "env": [{"name": HOSTS, "value": hosts}],
                "numNodes": job.workers,
                "resourcesPerNode": resources(job.resources),
            },
        },
    }


def training_runtime(job: TrainJobConfig) -> Manifest:
    """Returns the plain TrainingRuntime of TrainJobs: what the pods mount, and which failures end the job.

    A worker that was killed, evicted or left by another starts again under the same name, and all go on from the last
    checkpoint. An error of its own ends the job at once, and its pod is kept.
    """
    group, version, _ = TRAINER_GROUP
    policy = {
        "rules": [
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": _NODE, "operator": "In", "values": [*_OWN_ERRORS]},
            },
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }
    pods = {
        "backoffLimit": _RESTARTS * job.workers,  # of a loss all workers' pods fail
        "podFailurePolicy": policy,
        "template": {"spec": {"restartPolicy": "Never", **pod_spec(container(_NODE, job), job)}},
    }
    replicated = {
        "name": _NODE,
        "template": {"metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}, "spec": pods},
    }
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "TrainingRuntime",
        "metadata": _metadata(job, job.runtime),
        "spec": {
            "mlPolicy": {"numNodes": job.workers},
            "template": {"spec": {"network": {"publishNotReadyAddresses": True}, "replicatedJobs": [replicated]}},
        },
    }


def tf_job(job: TfJobConfig, name: str, command: Sequence[str]) -> Manifest:
    """Returns a TFJob, all of whose workers run one command; the operator sets their `TF_CONFIG`. See `train_job`."""
    pod = container(_TF_CONTAINER, job) | {
        "command": [command[0]],
        "args": [*command[1:]],
        "ports": [{"name": "tfjob-port", "containerPort": job.port}],
        "resources": resources(job.resources),
    }
    group, version, _ = TF_GROUP
    worker = {
        "replicas": job.workers,
        "restartPolicy": "ExitCode",
        "template": {"spec": pod_spec(pod, job)},
    }
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "TFJob",
        "metadata": _metadata(job, name),
        "spec": {
            "runPolicy": {"cleanPodPolicy": "Running", "backoffLimit": _RESTARTS * job.workers},
            "tfReplicaSpecs": {"Worker": worker},
        },
    }


def _metadata(job: KubernetesJobConfig, name: str) -> Manifest:
    return {"name": name, **({} if job.namespace is None else {"namespace": job.namespace})}
