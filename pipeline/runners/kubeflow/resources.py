"""What pods get from Kubernetes, as parts of a PipelineSpec and of KFP's PlatformSpec."""

from typing import Any, Final

from config import Config
from config.kubernetes import ComponentName, KubernetesConfig, PodConfig

_DOUBLED: Final = 2.0
_LONGEST_PAUSE: Final = 3600

Spec = dict[str, Any]


def add_resources(spec: Spec, config: Config) -> None:
    """Adds cores, memory, accelerators and retries to a PipelineSpec, in place."""
    for name, component in spec["components"].items():
        executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "container" in executor:
            pod = config.kubernetes.of(name)
            if resources := _resources(pod):
                executor["container"]["resources"] = resources
            if pod.retries:
                spec["root"]["dag"]["tasks"][name]["retryPolicy"] = _retries(pod)


def _resources(pod: PodConfig) -> Spec:
    """Returns limits: numbers, which Vertex AI and old releases of KFP read, and texts, which newer ones read."""
    found: Spec = {}
    if pod.cpu is not None:
        found |= {"cpuLimit": pod.cpu, "resourceCpuLimit": f"{pod.cpu:g}"}
    if pod.memory is not None:
        found |= {"memoryLimit": pod.memory_gigabytes, "resourceMemoryLimit": pod.memory}
    if pod.accelerator is not None:
        kind, count = pod.accelerator.type, pod.accelerator.count
        found["accelerator"] = {
            "type": kind,
            "count": str(count),
            "resourceType": kind,
            "resourceCount": str(count),
        }
    return found


def _retries(pod: PodConfig) -> Spec:
    return {
        "maxRetryCount": pod.retries,
        "backoffDuration": f"{pod.retry_seconds:g}s",
        "backoffFactor": _DOUBLED,
        "backoffMaxDuration": f"{_LONGEST_PAUSE}s",
    }


def platform_spec(spec: Spec, config: Config) -> Spec:
    """Returns KFP's PlatformSpec with nodes, secrets and volumes; an empty one where none are configured."""
    executors = {}
    for name, component in spec["components"].items():
        if pod := _of_kubernetes(config.kubernetes.of(name), config.kubernetes):
            executors[component["executorLabel"]] = pod
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def _of_kubernetes(pod: PodConfig, all_pods: KubernetesConfig) -> Spec:
    """Returns a KubernetesExecutorConfig. Names stand twice in it: old and new releases read different fields."""
    found: Spec = {}
    if pod.node_selector:
        found["nodeSelector"] = {"labels": dict(pod.node_selector)}
    if pod.secrets:
        found["secretAsEnv"] = [
            {
                "secretName": variable.secret,
                "secretNameParameter": _constant(variable.secret),
                "keyToEnv": [{"secretKey": variable.key, "envVar": variable.env}],
            }
            for variable in pod.secrets
        ]
    if all_pods.volumes:
        found["pvcMount"] = [
            {"constant": v.claim, "pvcNameParameter": _constant(v.claim), "mountPath": v.path} for v in all_pods.volumes
        ]
    return found


def _constant(value: str) -> Spec:
    return {"runtimeValue": {"constant": value}}


def absent_components(spec: Spec, config: Config) -> list[ComponentName]:
    """Returns the components of `kubernetes.components` that the pipeline lacks."""
    return [name for name in config.kubernetes.components if name not in spec["components"]]
