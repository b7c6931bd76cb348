"""The parts of a pod of this project's image: what it mounts, what it may do, what it asks for."""

from typing import Any, Final

from config.cluster_jobs import KubernetesJobConfig, ResourcesConfig, StorageConfig

USER: Final = 10001
"""The user and group of the image."""
_STORAGE: Final = "storage"
_TEMPORARY: Final = "temporary"
_TEMPORARY_PATH: Final = "/tmp"

Part = dict[str, Any]


def container(name: str, job: KubernetesJobConfig) -> Part:
    """Returns the container of a worker, without its command."""
    return {"name": name, "image": job.image, **own_container(job.storage, job.env_secret)}


def pod_spec(main: Part, job: KubernetesJobConfig) -> Part:
    """Returns the specification of a worker's pod with one container."""
    return {"containers": [main], **own_pod(job.storage)}


def own_container(storage: StorageConfig | None, env_secret: str | None = None) -> Part:
    """Returns what every container of this project's image has: no privileges, a temporary folder, the storage."""
    mounts = [{"name": _TEMPORARY, "mountPath": _TEMPORARY_PATH}]
    part: Part = {
        # What libraries keep for a user goes to the only folder that can be written to.
        "env": [{"name": "HOME", "value": _TEMPORARY_PATH}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    if storage is not None:
        mounts.append({"name": _STORAGE, "mountPath": storage.path})
        part["workingDir"] = storage.path
    if env_secret is not None:
        part["envFrom"] = [{"secretRef": {"name": env_secret}}]
    return part | {"volumeMounts": mounts}


def own_pod(storage: StorageConfig | None, is_read_only: bool = False) -> Part:
    """Returns what every pod of this project has: a user without privileges, and the volumes."""
    volumes: list[Part] = [{"name": _TEMPORARY, "emptyDir": {}}]
    if storage is not None:
        claim = {"claimName": storage.claim, **({"readOnly": True} if is_read_only else {})}
        volumes.append({"name": _STORAGE, "persistentVolumeClaim": claim})
    return {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
    }


def resources(asked: ResourcesConfig) -> Part:
    """Returns requests and limits: memory is limited to what is reserved, cores are not limited."""
    gpus = {"nvidia.com/gpu": str(asked.gpus)} if asked.gpus else {}
    return {
        "requests": {"cpu": asked.cpu, "memory": asked.memory, **gpus},
        "limits": {"memory": asked.memory, **gpus},
    }
