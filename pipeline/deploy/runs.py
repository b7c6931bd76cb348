"""The daily run on Kubernetes: a CronJob, with its volume and its rights."""

import math
from typing import Any, Final

from config import Config
from config.cluster_jobs import TfJobConfig, TrainJobConfig
from pipeline.deploy.image import CONFIGURATION, PYTHON, RUNNER
from pipeline.deploy.places import image_of, labels, metadata, object_name
from trainer.cluster_jobs.manifests import RUNTIMES, TF_GROUP, TRAINER_GROUP
from trainer.cluster_jobs.pods import own_container, own_pod, resources

PART: Final = "run"

Manifest = dict[str, Any]


def storage_manifests(config: Config) -> list[Manifest]:
    """Returns the namespace and the claim of the volume."""
    storage, namespace = config.deploy.storage, config.deploy.namespace
    named = {} if storage.storage_class is None else {"storageClassName": storage.storage_class}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": storage.claim, "namespace": namespace, "labels": labels(config, "storage")},
            "spec": {
                "accessModes": [storage.access],
                "resources": {"requests": {"storage": storage.size}},
                **named,
            },
        },
    ]


def run_manifests(config: Config) -> list[Manifest]:
    """Returns the CronJob and its service account, which may submit the training job where there is one."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(config, PART)}
    return [account, *_rights(config), _cron_job(config)]


def submits_job(config: Config) -> bool:
    """Returns whether the Trainer submits a job to this cluster."""
    return isinstance(config.training.job, TrainJobConfig | TfJobConfig)


def _cron_job(config: Config) -> Manifest:
    settings = config.deploy.run
    container = {
        **own_container(config.deploy.storage, config.deploy.env_secret),
        "name": "pipeline",
        "image": image_of(config),
        "command": [PYTHON, RUNNER, "run", "--config", CONFIGURATION],
        "resources": resources(settings.resources),
    }
    pod = {
        **own_pod(config.deploy.storage),
        "serviceAccountName": object_name(config, PART),
        "automountServiceAccountToken": submits_job(config),
        "restartPolicy": "Never",  # the failed pod's log is kept; the job makes a new one
        "containers": [container],
    }
    # A wrong configuration (2) does not get better, and a model that was not blessed (3) is an answer.
    final = {
        "action": "FailJob",
        "onExitCodes": {"containerName": "pipeline", "operator": "In", "values": [2, 3]},
    }
    job = {
        "backoffLimit": settings.retries,
        "activeDeadlineSeconds": math.ceil(settings.max_hours * 3600),
        "podFailurePolicy": {"rules": [final]},
        "template": {"metadata": {"labels": labels(config, PART)}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(config, PART),
        "spec": {
            "schedule": settings.schedule,
            "timeZone": settings.time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"spec": job},
        },
    }


def _rights(config: Config) -> list[Manifest]:
    """Returns a Role for what the submitting step does, and its binding; nothing where it submits no job here."""
    job = config.training.job
    if not submits_job(config):
        return []
    group, _, plural = TRAINER_GROUP if isinstance(job, TrainJobConfig) else TF_GROUP
    rules = [
        {"apiGroups": [group], "resources": [plural], "verbs": ["create", "get", "list", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    if isinstance(job, TrainJobConfig):
        rules.append({"apiGroups": [group], "resources": [RUNTIMES], "verbs": ["get"]})
    name = object_name(config, PART)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": config.deploy.namespace}
    api = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": api, "kind": "Role", "metadata": metadata(config, PART), "rules": rules},
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": metadata(config, PART),
            "roleRef": role,
            "subjects": [subject],
        },
    ]
